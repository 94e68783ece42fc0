"""Sampling and imputation with a fitted DiffPuter."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ldmiss.checks import check_count, check_images_to_complete, check_number
from ldmiss.core.noise import RowNoise
from ldmiss.core.saved_steps import NOT_SAVED, SavedSteps
from ldmiss.diffputer.edm import DenoiseFn, karras_sigmas, sample_heun
from ldmiss.diffputer.em import Normalizer, Sampling, draw_conditional
from ldmiss.imputation.imputer import check_shape


@dataclass(frozen=True)
class DiffPuterModel:
    """A fitted DiffPuter on images of a given shape, (C, H, W)."""

    denoise: DenoiseFn
    normalizer: Normalizer
    shape: tuple[int, int, int]

    @torch.no_grad()
    def generate(
        self, num_rows: int, noise: RowNoise, saved: SavedSteps = NOT_SAVED, *, num_steps: int, churn: float = 1.0
    ) -> Tensor:
        """Unconditional images, scaled, (num_rows, C, H, W): EDM's stochastic Heun sampler.

        Raises:
            InputError: a number out of range.
        """
        check_count("num_rows", num_rows)
        check_count("num_steps", num_steps, least=2)
        check_number("churn", churn, least=0)
        sigmas = karras_sigmas(num_steps, device=self.normalizer.mean.device)
        x = sigmas[0] * noise(self.normalizer.mean.expand(num_rows, -1))
        x = sample_heun(self.denoise, x, sigmas=sigmas, churn=churn, noise=noise, saved=saved)
        return self.normalizer.denormalize(x).reshape(num_rows, *self.shape)

    def impute(
        self, x_obs: Tensor, observed: Tensor, noise: RowNoise, saved: SavedSteps = NOT_SAVED, *, sampling: Sampling
    ) -> Tensor:
        """One conditional draw; x_obs, scaled, and observed (B, C, H, W) -> (B, C, H, W).

        Raises:
            InputError: as `Imputer`, or images of another size than the fit's.
        """
        check_images_to_complete(x_obs, observed)
        check_shape(x_obs, self.shape)
        rows = x_obs.flatten(1)
        x, known = self.normalizer.normalize(rows), observed.flatten(1)
        draw = draw_conditional(self.denoise, x, known, noise, sampling, saved)
        return self.normalizer.denormalize(draw).reshape(x_obs.shape)
