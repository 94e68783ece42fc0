"""Imputation by draws from LDMiss's posterior: a few steps of moment matching that start from the encoder's answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ldmiss.core.noise import RowNoise
from ldmiss.core.saved_steps import NOT_SAVED, SavedSteps
from ldmiss.imputation.score_based import ScoreModel
from ldmiss.posterior.residual import residual_sd


@dataclass(frozen=True)
class LatentPosterior:
    """LDMiss's networks, as what draws from p(image | observed pixels).

    Self-guidance starts from noise and takes hundreds of evaluations, since far from the data the score network knows
    little. The encoder's answer is near from the start; noised to a small time t_start and denoised under the
    observation, it becomes a draw.

    Attributes:
        score_model: in latent space.
        encode: (x_obs, scaled, observed) -> the encoder's mean, in the scaled latents that diffusion sees.
        settings: of `ScoreModel.impute_by_moment_matching`, but `start`.
    """

    score_model: ScoreModel
    encode: Callable[[Tensor, Tensor], Tensor]
    settings: Mapping[str, Any]

    @torch.no_grad()
    def decode_draw(
        self, x_obs: Tensor, observed: Tensor, noise: RowNoise, saved: SavedSteps = NOT_SAVED, *, noise_sd: float
    ) -> Tensor:
        """A draw of the latents, decoded: x_obs, scaled, and observed (B, C, H, W) -> (B, C, H, W).

        Args:
            x_obs, observed, noise, saved: see `Imputer`.
            noise_sd: of the scaled observation about its decoding.

        Raises:
            InputError: as `ScoreModel.impute_by_moment_matching`.
        """
        return self.score_model.impute_by_moment_matching(
            x_obs, observed, noise, saved, start=self.encode, noise_sd=noise_sd, **self.settings
        )

    @torch.no_grad()
    def impute(
        self,
        x_obs: Tensor,
        observed: Tensor,
        noise: RowNoise,
        saved: SavedSteps = NOT_SAVED,
        *,
        noise_sd: float,
        variance: Tensor,
    ) -> Tensor:
        """A draw of the image: that of `decode_draw`, with what the decoder leaves out.

        `variance`: of `residual_variance`, (bins,).

        Raises:
            InputError: as `decode_draw`.
        """
        decoded = self.decode_draw(x_obs, observed, noise, saved, noise_sd=noise_sd)
        return decoded + residual_sd(variance, decoded) * noise(decoded)
