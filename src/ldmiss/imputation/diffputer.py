"""Sampling and imputation with a fitted DiffPuter."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ldmiss.checks import check_count, check_number, check_unit_images
from ldmiss.core.noise import RowNoise
from ldmiss.core.saved_steps import NOT_SAVED, SavedSteps
from ldmiss.diffputer.edm import DenoiseFn, karras_sigmas, sample_heun
from ldmiss.diffputer.em import Normalizer, Sampling, draw_conditional
from ldmiss.errors import InputError


@dataclass(frozen=True)
class DiffPuterModel:
    """A fitted DiffPuter on images of a given size."""

    denoise: DenoiseFn
    normalizer: Normalizer
    size: int

    @torch.no_grad()
    def generate(
        self, num_rows: int, noise: RowNoise, saved: SavedSteps = NOT_SAVED, *, num_steps: int, churn: float = 1.0
    ) -> Tensor:
        """Unconditional images in [0, 1], (num_rows, 1, H, W): EDM's stochastic Heun sampler.

        Raises:
            InputError: a number out of range.
        """
        check_count("num_rows", num_rows)
        check_count("num_steps", num_steps, least=2)
        check_number("churn", churn, least=0)
        sigmas = karras_sigmas(num_steps, device=self.normalizer.mean.device)
        x = sigmas[0] * noise(self.normalizer.mean.expand(num_rows, -1))
        x = sample_heun(self.denoise, x, sigmas=sigmas, churn=churn, noise=noise, saved=saved)
        return self.normalizer.denormalize(x).reshape(num_rows, 1, self.size, self.size).clamp(0, 1)

    def impute(
        self, x_obs: Tensor, observed: Tensor, noise: RowNoise, saved: SavedSteps = NOT_SAVED, *, sampling: Sampling
    ) -> Tensor:
        """One conditional draw; x_obs in [0, 1] and observed (B, 1, H, W) -> (B, 1, H, W).

        Raises:
            InputError: as `Imputer`, or images of another size than the fit's.
        """
        check_unit_images(x_obs, observed)
        if tuple(x_obs.shape[2:]) != (self.size, self.size):
            raise InputError(
                f"x_obs: images of {x_obs.shape[2]} x {x_obs.shape[3]}; allowed: {self.size} x {self.size}, the fit's"
            )
        rows = x_obs.flatten(1)
        x, known = self.normalizer.normalize(rows), observed.flatten(1)
        draw = draw_conditional(self.denoise, x, known, noise, sampling, saved)
        return self.normalizer.denormalize(draw).reshape(x_obs.shape)
