"""Sampling and imputation with a score network, in pixel or latent space (paper sections 2, 3 and 5)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ldmiss.autoencoding.codecs import Codec, PixelCodec
from ldmiss.diffusion.conditioning import replace_observed
from ldmiss.diffusion.guidance import self_guided_score
from ldmiss.diffusion.parameterization import Denoiser, ScoreFn
from ldmiss.diffusion.samplers import Condition, euler_maruyama, uniform_time_grid
from ldmiss.noise import RowNoise


@dataclass(frozen=True)
class ScoreModel:
    """A trained score network with the space it works in: LDMiss with a latent codec, DDPM with the pixel codec."""

    denoiser: Denoiser
    codec: Codec
    device: torch.device
    tau: float

    @torch.no_grad()
    def generate(self, num_rows: int, noise: RowNoise, *, num_steps: int) -> Tensor:
        """Unconditional images in [0, 1], (num_rows, 1, H, W)."""
        z = self._integrate(self.denoiser.score, num_rows, noise, num_steps)
        return self.codec.decode(z).clamp(0, 1)

    @torch.no_grad()
    def impute_by_guidance(
        self, x_obs: Tensor, observed: Tensor, noise: RowNoise, *, num_steps: int, weight: float
    ) -> Tensor:
        """Self-guided imputation (Eq. 4-6); x_obs in [0, 1] and observed (B, 1, H, W) -> x_hat (B, 1, H, W)."""
        score = self_guided_score(self.denoiser, self.codec.decode, x_obs, observed, weight=weight)
        return self.codec.decode(self._integrate(score, len(x_obs), noise, num_steps))

    @torch.no_grad()
    def impute_by_replacement(self, x_obs: Tensor, observed: Tensor, noise: RowNoise, *, num_steps: int) -> Tensor:
        """Replacement imputation (section 5); arguments as `impute_by_guidance`.

        Raises:
            ValueError: in latent space, where there is no notion of missing dimensions (section 5).
        """
        if not isinstance(self.codec, PixelCodec):
            raise ValueError("replacement needs diffusion in pixel space")
        condition = replace_observed(self.denoiser.sde, self.codec.encode(x_obs), observed, noise)
        return self.codec.decode(self._integrate(self.denoiser.score, len(x_obs), noise, num_steps, condition))

    def _integrate(
        self, score: ScoreFn, num_rows: int, noise: RowNoise, num_steps: int, condition: Condition | None = None
    ) -> Tensor:
        time_grid = uniform_time_grid(num_steps, self.tau, self.device)
        prior = noise(torch.empty(num_rows, *self.codec.shape, device=self.device))
        if condition is not None:
            prior = condition(prior, time_grid[0])
        return euler_maruyama(score, self.denoiser.sde, prior, time_grid=time_grid, noise=noise, condition=condition)
