"""Imputation by the re-masked regression U-Net: means, and draws about them."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ldmiss.checks import check_images_to_complete
from ldmiss.core.noise import RowNoise
from ldmiss.core.pixels import scaled_from_network
from ldmiss.core.saved_steps import NOT_SAVED, SavedSteps
from ldmiss.imputation.imputer import check_shape
from ldmiss.networks.outputs import mean_and_sd
from ldmiss.regression.constants import MIN_SD
from ldmiss.remasking.network import VALUE_RANGE, show_scaled


@dataclass(frozen=True)
class RegressionModel:
    """A trained network, (what is known, t) -> outputs, see `mean_and_sd`, for images of a shape, (C, H, W)."""

    forward: Callable[..., Tensor]
    shape: tuple[int, int, int]

    def impute_mean(self, x_obs: Tensor, observed: Tensor, noise: RowNoise, saved: SavedSteps = NOT_SAVED) -> Tensor:
        """The expected value of every pixel; x_obs, scaled, and observed (B, C, H, W) -> (B, C, H, W).

        Raises:
            InputError: as `Imputer`, or images of another shape than the model's.
        """
        del noise, saved
        return scaled_from_network(self._predict(x_obs, observed)[0], VALUE_RANGE)

    def impute_draw(self, x_obs: Tensor, observed: Tensor, noise: RowNoise, saved: SavedSteps = NOT_SAVED) -> Tensor:
        """A draw of every pixel by itself, Gaussian about its mean: honest pixel by pixel, not jointly.

        Arguments and errors as `impute_mean`.
        """
        del saved
        mean, sd = self._predict(x_obs, observed)
        return scaled_from_network(mean + sd * noise(mean), VALUE_RANGE)

    @torch.no_grad()
    def _predict(self, x_obs: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        check_images_to_complete(x_obs, observed)
        check_shape(x_obs, self.shape)
        return mean_and_sd(self.forward(show_scaled(x_obs, observed), x_obs.new_zeros(())), MIN_SD)
