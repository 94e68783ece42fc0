"""What an imputer is, and the final paste every one of them ends with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ldmiss.checks import check_array, check_images_to_complete, check_observed
from ldmiss.core.noise import RowNoise
from ldmiss.core.saved_steps import NOT_SAVED, SavedSteps
from ldmiss.errors import InputError

Generate = Callable[[int, RowNoise, SavedSteps], Tensor]
"""(number of rows, their noise, where a sampler keeps its state) -> scaled images, not clipped, (rows, C, H, W)."""

Bounds = tuple[Tensor | float, Tensor | float]
"""The least and the largest scaled value there is, each broadcastable to (C, H, W); see `Scaler.scaled_bounds`."""
UNIT_BOUNDS: Bounds = (0.0, 1.0)
"""Those of 8-bit images."""


@dataclass(frozen=True)
class Imputer:
    """A fitted imputer.

    Attributes:
        complete: (x_obs float32 (B, C, H, W), scaled, observed bool (B, C, H, W), noise, where a sampler keeps its
            state) -> x_hat (B, C, H, W), a guess of every value, scaled; values of x_obs at missing pixels are never
            used.
        stochastic: whether it gives draws, whose spread says how sure it is.
    """

    complete: Callable[[Tensor, Tensor, RowNoise, SavedSteps], Tensor]
    stochastic: bool

    def __call__(
        self,
        x_obs: Tensor,
        observed: Tensor,
        noise: RowNoise,
        saved: SavedSteps = NOT_SAVED,
        bounds: Bounds = UNIT_BOUNDS,
    ) -> Tensor:
        """The completed images, scaled, within their bounds, observed values exactly as given, (B, C, H, W).

        Raises:
            InputError: x_obs is not float32 (B, C, H, W), finite where observed, or observed not bool of its shape.
                What stands at missing pixels is never looked at: NaN may.
        """
        check_images_to_complete(x_obs, observed)
        return paste_observed(x_obs, observed, self.complete(x_obs, observed, noise, saved), bounds)


def check_shape(x_obs: Tensor, shape: Sequence[int]) -> None:
    """Images of the model's shape (C, H, W): others would be broadcast.

    Raises:
        InputError: they are not.
    """
    given, own = (" x ".join(map(str, sizes)) for sizes in (x_obs.shape[1:], shape))
    if given != own:
        raise InputError(f"x_obs: images of {given}; allowed: {own}, the model's")


def clip(x: Tensor, bounds: Bounds) -> Tensor:
    """Scaled images (B, C, H, W) within their bounds, two numbers or two tensors on the device of the images."""
    return x.clamp(*bounds)  # type: ignore[arg-type]


def paste_observed(x_obs: Tensor, observed: Tensor, x_hat: Tensor, bounds: Bounds = UNIT_BOUNDS) -> Tensor:
    """x_hat clipped to its bounds at missing pixels, x_obs bit for bit at observed ones; (B, C, H, W), or rows (B, d).

    Raises:
        InputError: they are not of one shape, which would be broadcast.
    """
    check_observed(observed, x_obs, "x_obs")
    check_array("x_hat", x_hat, tuple(x_obs.shape), "float32")
    return torch.where(observed, x_obs, clip(x_hat, bounds))
