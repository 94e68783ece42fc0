"""Re-masking: some of the known pixels of a training image are hidden, to be predicted from the rest.

A pixel that is truly missing is neither given nor asked for, so what is learnt is p(hidden | given) for the pixels of
all kinds of images, and at imputation all that is missing is asked for. That is right where the mechanism is missing
at random (docs/mechanisms.md). After CSDI (Tashiro et al. 2021) and, on data that are incomplete themselves,
arXiv 2509.20098.
"""

import torch
from torch import Tensor


def split_known(observed: Tensor, generator: torch.Generator, *, min_kept: float) -> tuple[Tensor, Tensor]:
    """Known pixels into those that are given and those that are hidden: bool (B, C, H, W), twice, disjoint.

    Half of the images, drawn at random, lose a random share of what is known, pixel by pixel: what is kept is uniform
    between `min_kept` and all of it. The others lose what another image of the batch lacks, so that hidden pixels lie
    as missing ones do: in blocks, in lines or alone, of all channels or of one.
    """
    rows = len(observed)
    kept = min_kept + (1 - min_kept) * torch.rand(rows, generator=generator, device=observed.device)
    at_random = torch.rand(observed.shape, generator=generator, device=observed.device) < kept[:, None, None, None]
    borrowed = observed[torch.randperm(rows, generator=generator, device=observed.device)]
    borrows = torch.rand(rows, generator=generator, device=observed.device) < 0.5
    given = observed & torch.where(borrows[:, None, None, None], borrowed, at_random)
    return given, observed & ~given
