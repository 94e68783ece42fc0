"""What the encoder sees of an incomplete image: the paper's filled image, or the recipe that survives a change of rate.

The zero-filled image alone cannot tell black from missing, and an encoder trained at one missing rate fails at another
(docs/fidelity.md). The robust recipe is grey fill, a channel of observed-indicators, and in training a random
share of the observed pixels hidden from the encoder, but not from the loss. Each part alone is worse somewhere.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ldmiss.checks import check_choice, check_finite
from ldmiss.core.pixels import RANGES, fill_missing, network_from_scaled

MIN_OBSERVED_SHARE = 0.2
"""Re-masking leaves at least this share of all pixels, in expectation (docs/constants.md says where it was chosen)."""


@dataclass(frozen=True)
class EncoderInput:
    """Incomplete images to the encoder's input.

    Attributes:
        fill: at missing pixels, scaled, (1, 1, 1) or (C, H, W).
        value_range: of the networks' pixels, one of `ldmiss.core.pixels.RANGES`.
        robust: add channels of observed-indicators, and re-mask in training.

    Raises:
        InputError: an unknown range, or a fill that is not finite.
    """

    fill: Tensor
    value_range: str
    robust: bool

    def __post_init__(self) -> None:
        check_choice("value_range", self.value_range, RANGES)
        check_finite("fill", self.fill)

    def __call__(self, x: Tensor, observed: Tensor) -> Tensor:
        """x, scaled, and observed (B, C, H, W) -> (B, C or 2 C, H, W) in the networks' range."""
        image = network_from_scaled(fill_missing(x, observed, self.fill), self.value_range)
        if not self.robust:
            return image
        return torch.cat([image, network_from_scaled(observed.float(), self.value_range)], dim=1)


def remask(observed: Tensor, generator: torch.Generator, *, min_share: float = MIN_OBSERVED_SHARE) -> Tensor:
    """Hide a random share of each row's observed values: bool (B, C, H, W) -> bool, True only where it was True.

    The share of all pixels that stays is uniform between `min_share` and the row's own share (a row with less than
    `min_share` stays as it is), so that one encoder meets every missing rate above that of its training images.
    """
    share = observed.flatten(1).double().mean(1).clamp(min=min_share)
    uniform = torch.rand(len(observed), generator=generator, device=observed.device, dtype=torch.float64)
    kept = (min_share + (share - min_share) * uniform) / share
    draws = torch.rand(observed.shape, generator=generator, device=observed.device)
    return observed & (draws < kept.float()[:, None, None, None])
