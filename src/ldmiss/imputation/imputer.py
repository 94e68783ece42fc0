"""What an imputer is, and the final paste every one of them ends with."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ldmiss.checks import check_array, check_observed, check_unit_images
from ldmiss.core.noise import RowNoise
from ldmiss.core.saved_steps import NOT_SAVED, SavedSteps

Generate = Callable[[int, RowNoise, SavedSteps], Tensor]
"""(number of rows, their noise, where a sampler keeps its state) -> images in [0, 1], (rows, 1, H, W)."""


@dataclass(frozen=True)
class Imputer:
    """A fitted imputer.

    Attributes:
        complete: (x_obs float32 (B, 1, H, W) in [0, 1], observed bool (B, 1, H, W), noise, where a sampler keeps its
            state) -> x_hat (B, 1, H, W), a guess of every pixel in [0, 1] units; values of x_obs at missing pixels
            are never used.
        stochastic: whether two draws differ.
    """

    complete: Callable[[Tensor, Tensor, RowNoise, SavedSteps], Tensor]
    stochastic: bool

    def __call__(self, x_obs: Tensor, observed: Tensor, noise: RowNoise, saved: SavedSteps = NOT_SAVED) -> Tensor:
        """The completed images in [0, 1], observed pixels exactly as given, (B, 1, H, W).

        Raises:
            InputError: x_obs is not float32 (B, 1, H, W) in [0, 1] where observed, or observed not bool of its shape.
                What stands at missing pixels is never looked at: NaN may.
        """
        check_unit_images(x_obs, observed)
        return paste_observed(x_obs, observed, self.complete(x_obs, observed, noise, saved))


def paste_observed(x_obs: Tensor, observed: Tensor, x_hat: Tensor) -> Tensor:
    """x_hat clipped to [0, 1] at missing pixels, x_obs bit for bit at observed ones; (B, 1, H, W), or rows (B, d).

    Raises:
        InputError: they are not of one shape, which would be broadcast.
    """
    check_observed(observed, x_obs, "x_obs")
    check_array("x_hat", x_hat, tuple(x_obs.shape), "float32")
    return torch.where(observed, x_obs, x_hat.clamp(0, 1))
