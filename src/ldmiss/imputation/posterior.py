"""Imputation by draws from LDMiss's posterior: a few steps of moment matching that start from the encoder's answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ldmiss.autoencoding.codecs import LatentCodec
from ldmiss.autoencoding.encoder_input import EncoderInput
from ldmiss.checks import check_images_to_complete
from ldmiss.core.noise import RowNoise
from ldmiss.core.saved_steps import NOT_SAVED, SavedSteps
from ldmiss.imputation.imputer import check_shape
from ldmiss.imputation.score_based import ScoreModel
from ldmiss.posterior.residual import Residual


@dataclass(frozen=True)
class LatentPosterior:
    """LDMiss's networks, as what draws from p(image | observed pixels).

    Self-guidance starts from noise and takes hundreds of evaluations, since far from the data the score network knows
    little. The encoder's answer is near from the start; noised to a small time t_start and denoised under the
    observation, it becomes a draw.

    Attributes:
        score_model: in the latent space of `codec`.
        codec: the score model's own.
        encoder: what `encoder_input` gives to mean and log-variance, stacked along channels.
        encoder_input: the one the encoder was trained with.
        shape: (C, H, W) of the images.
        sampling: num_steps, sampler, num_iterations and t_start of `ScoreModel.impute_by_moment_matching`.
    """

    score_model: ScoreModel
    codec: LatentCodec
    encoder: Callable[[Tensor], Tensor]
    encoder_input: EncoderInput
    shape: tuple[int, int, int]
    sampling: Mapping[str, Any]

    @torch.no_grad()
    def encode(self, x_obs: Tensor, observed: Tensor) -> Tensor:
        """The encoder's mean, in the scaled latents that diffusion sees, (B, *codec.shape)."""
        mean, _ = self.encoder(self.encoder_input(x_obs, observed)).chunk(2, dim=1)
        return mean * self.codec.scale

    @torch.no_grad()
    def decode_draw(
        self, x_obs: Tensor, observed: Tensor, noise: RowNoise, saved: SavedSteps = NOT_SAVED, *, noise_sd: float
    ) -> Tensor:
        """A draw of the latents, decoded: x_obs, scaled, and observed (B, C, H, W) -> (B, C, H, W).

        Args:
            x_obs, observed, noise, saved: see `Imputer`.
            noise_sd: of the scaled observation about its decoding.

        Raises:
            InputError: as `Imputer`, images of another shape than the model's, or a number out of range.
        """
        check_images_to_complete(x_obs, observed)
        check_shape(x_obs, self.shape)
        return self.score_model.impute_by_moment_matching(
            x_obs, observed, noise, saved, start=self.encode, noise_sd=noise_sd, **self.sampling
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
        residual: Residual,
    ) -> Tensor:
        """A draw of the image: that of `decode_draw`, with what the decoder leaves out.

        `residual`: of `fit_residual`.

        Raises:
            InputError: as `decode_draw`.
        """
        decoded = self.decode_draw(x_obs, observed, noise, saved, noise_sd=noise_sd)
        return residual.add(decoded, noise(decoded))
