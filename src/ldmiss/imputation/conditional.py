"""Imputation by conditional diffusion: the missing pixels are denoised, given the known ones."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ldmiss.checks import check_choice, check_count, check_images_to_complete
from ldmiss.core.noise import RowNoise
from ldmiss.core.pixels import scaled_from_network, show_known
from ldmiss.core.saved_steps import NOT_SAVED, SavedSteps
from ldmiss.diffusion.parameterization import score_from_x_0, x_0_from_velocity
from ldmiss.diffusion.sde import VPSDE
from ldmiss.imputation.imputer import check_shape
from ldmiss.remasking.network import VALUE_RANGE, show_scaled
from ldmiss.sampling.samplers import SAMPLERS, sample_from_prior


@dataclass(frozen=True)
class ConditionalModel:
    """A trained network, (what is given and what is noisy, t) -> velocity, with its forward process.

    It is for images of a given shape, (C, H, W).
    """

    forward: Callable[..., Tensor]
    sde: VPSDE
    tau: float
    shape: tuple[int, int, int]

    @torch.no_grad()
    def impute(
        self,
        x_obs: Tensor,
        observed: Tensor,
        noise: RowNoise,
        saved: SavedSteps = NOT_SAVED,
        *,
        num_steps: int,
        sampler: str = "dpm_solver_pp",
    ) -> Tensor:
        """A draw of the missing pixels, jointly; x_obs, scaled, and observed (B, C, H, W) -> x_hat (B, C, H, W).

        One evaluation per step (two with "heun"), and no gradient.

        Args:
            x_obs, observed, noise, saved: see `Imputer`.
            num_steps: at least 2.
            sampler: of `sample_from_prior`.

        Raises:
            InputError: as `Imputer`, images of another shape than the model's, a number out of range, or an unknown
                sampler.
        """
        check_images_to_complete(x_obs, observed)
        check_shape(x_obs, self.shape)
        check_count("num_steps", num_steps, least=2)
        check_choice("sampler", sampler, SAMPLERS)
        given = show_scaled(x_obs, observed)

        def score(x_t: Tensor, t: Tensor) -> Tensor:
            alpha_t, sigma_t = self.sde.marginal_prob(t)
            v = self.forward(torch.cat([given, show_known(x_t, ~observed)], dim=1), t)
            return score_from_x_0(x_t, x_0_from_velocity(x_t, v, alpha_t, sigma_t), alpha_t, sigma_t)

        x = sample_from_prior(
            sampler, score, self.sde, noise(x_obs), num_steps=num_steps, tau=self.tau, noise=noise, saved=saved
        )
        return torch.where(observed, x_obs, scaled_from_network(x, VALUE_RANGE))  # nothing is learnt of the known
