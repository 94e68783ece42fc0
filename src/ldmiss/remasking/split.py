"""Re-masking: some of the known pixels of a training image are hidden, to be predicted from the rest.

A pixel that is truly missing is neither given nor asked for, so what is learnt is p(hidden | given) among images that
know all of these, and at imputation all that is missing is asked for. That is right where pixels are missing
completely at random, and where what decides is never missing itself, as in our `mar` (docs/guide.md). After CSDI
(Tashiro et al. 2021) and, on data that are incomplete themselves, arXiv 2509.20098.
"""

import torch
from torch import Tensor


def split_known(
    observed: Tensor, generator: torch.Generator, *, min_kept: float, borrowing: float = 0.5
) -> tuple[Tensor, Tensor]:
    """Known pixels into those that are given and those that are hidden: bool (B, C, H, W), twice, disjoint.

    A share of the images, drawn at random, lose what another image of the batch lacks, so that hidden pixels lie as
    missing ones do: in blocks, in lines or alone, of all channels or of one. The others, and those that would lose
    nothing that way, lose single pixels: the share that is kept is uniform between `min_kept` and all of it. Where an
    image knows its pixels in all channels or in none, it loses them so.
    """
    rows = len(observed)
    kept = min_kept + (1 - min_kept) * torch.rand(rows, generator=generator, device=observed.device)
    draws = torch.rand(observed.shape, generator=generator, device=observed.device)
    draws = torch.where(_of_image(observed == observed[:, :1]), draws[:, :1], draws)
    at_random = draws < kept[:, None, None, None]
    borrowed = observed[torch.randperm(rows, generator=generator, device=observed.device)]
    borrows = torch.rand(rows, generator=generator, device=observed.device) < borrowing
    borrows = borrows[:, None, None, None] & ~_of_image(borrowed | ~observed)
    given = observed & torch.where(borrows, borrowed, at_random)
    return given, observed & ~given


def _of_image(holds: Tensor) -> Tensor:
    """Whether it holds for all values of an image: bool (B, C, H, W) -> (B, 1, 1, 1)."""
    return holds.flatten(1).all(1)[:, None, None, None]
