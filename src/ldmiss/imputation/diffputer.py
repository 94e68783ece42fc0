"""Sampling and imputation with a fitted DiffPuter."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ldmiss.core.noise import RowNoise
from ldmiss.diffputer.edm import DenoiseFn, karras_sigmas, sample_heun
from ldmiss.diffputer.em import Normalizer, Sampling, draw_conditional


@dataclass(frozen=True)
class DiffPuterModel:
    """A fitted DiffPuter on images of a given size."""

    denoise: DenoiseFn
    normalizer: Normalizer
    size: int

    @torch.no_grad()
    def generate(self, num_rows: int, noise: RowNoise, *, num_steps: int, churn: float = 1.0) -> Tensor:
        """Unconditional images in [0, 1], (num_rows, 1, H, W): EDM's stochastic Heun sampler."""
        sigmas = karras_sigmas(num_steps, device=self.normalizer.mean.device)
        x = sigmas[0] * noise(self.normalizer.mean.expand(num_rows, -1))
        x = sample_heun(self.denoise, x, sigmas=sigmas, churn=churn, noise=noise)
        return self.normalizer.denormalize(x).reshape(num_rows, 1, self.size, self.size).clamp(0, 1)

    def impute(self, x_obs: Tensor, observed: Tensor, noise: RowNoise, sampling: Sampling) -> Tensor:
        """One conditional draw; x_obs in [0, 1] and observed (B, 1, H, W) -> (B, 1, H, W)."""
        rows = x_obs.flatten(1)
        draw = draw_conditional(self.denoise, self.normalizer.normalize(rows), observed.flatten(1), noise, sampling)
        return self.normalizer.denormalize(draw).reshape(x_obs.shape)
