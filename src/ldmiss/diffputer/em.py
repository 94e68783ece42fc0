"""DiffPuter: expectation-maximisation with a diffusion model on completed rows (Zhang et al. 2025, Algorithms 1-3).

M-step: train an EDM denoiser on the completed rows, all coordinates counting. E-step: draw the missing coordinates
given the observed ones by replacement with resampling, and average the draws. Rows are flat, d = 784 for MNIST.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ldmiss.checks import check_count, check_number
from ldmiss.core.noise import RowNoise
from ldmiss.core.saved_steps import NOT_SAVED, SavedSteps
from ldmiss.diffputer.edm import (
    DenoiseFn,
    Preconditioned,
    churn_to_gamma,
    karras_sigmas,
    ode_step,
)
from ldmiss.networks.layers import at_precision

SIGMA_DATA = 0.5
"""Rows are normalised to this standard deviation, EDM's sigma_data."""


@dataclass(frozen=True)
class Normalizer:
    """x -> (x - mean) / std * sigma_data, per feature; mean and std (d,) in pixel units."""

    mean: Tensor
    std: Tensor

    @classmethod
    def fit(cls, x: Tensor, observed: Tensor, *, std_floor: float, per_feature: bool = True) -> "Normalizer":
        """Moments over observed training entries, x and observed (N, d); one for all features if not `per_feature`.

        Pixels that are (almost) never lit have no spread to divide by: the floor stands in.
        A feature never observed gets the mean of all entries, and the floor.
        """
        axis = (0,) if per_feature else (0, 1)
        count = observed.sum(axis).clamp(min=1).double()
        sums, counts = torch.where(observed, x, 0.0).double().sum(axis), observed.sum(axis)
        mean = torch.where(counts > 0, sums / count, sums.sum() / counts.sum().clamp(min=1))
        variance = torch.where(observed, (x.double() - mean) ** 2, 0.0).sum(axis) / count
        std = variance.sqrt().clamp(min=std_floor)
        return cls(mean.float().expand(x.shape[1]), std.float().expand(x.shape[1]))

    def normalize(self, x: Tensor) -> Tensor:
        """Pixel units to normalised, (B, d)."""
        return (x - self.mean) / self.std * SIGMA_DATA

    def denormalize(self, x: Tensor) -> Tensor:
        """Normalised to pixel units, (B, d)."""
        return x / SIGMA_DATA * self.std + self.mean


def denoiser_of(network: nn.Module, dtype: torch.dtype = torch.float32) -> Preconditioned:
    """The EDM denoiser around a network whose layers compute at precision `dtype`."""
    return Preconditioned(at_precision(network, dtype), SIGMA_DATA)


@dataclass(frozen=True)
class Sampling:
    """How DiffPuter draws: noise levels, repetitions per level (the authors' N = 20) and EDM's S_churn.

    Raises:
        InputError: a number out of range.
    """

    num_steps: int
    num_resamples: int
    churn: float = 1.0

    def __post_init__(self) -> None:
        check_count("num_steps", self.num_steps, least=2)
        check_count("num_resamples", self.num_resamples)
        check_number("churn", self.churn, least=0)

    def num_evaluations(self) -> int:
        """Network evaluations of one conditional draw: 1961 at the authors' 50 steps and 20 repetitions."""
        return (self.num_steps - 1) * self.num_resamples * 2 + 1


@torch.no_grad()
def draw_conditional(
    denoise: DenoiseFn,
    x_obs: Tensor,
    observed: Tensor,
    noise: RowNoise,
    sampling: Sampling,
    saved: SavedSteps = NOT_SAVED,
) -> Tensor:
    """One draw of the missing coordinates given the observed ones (E-step, their `impute_mask`).

    At each level, `num_resamples` times: an unconditional stochastic Heun step for the unknown, forward noise for the
    known, blended; re-noised in between (RePaint, Lugmayr et al. 2022). The last step is Euler to 0.

    The noise of the known part, the re-noising and the churn of the step that follows are independent and add up, so
    one number with the sum of their variances stands for them: the same law for a third of the draws.

    Args:
        denoise: the EDM denoiser.
        x_obs: normalised rows, (B, d); values at missing positions are never used.
        observed: bool (B, d).
        noise: the rows' noise.
        sampling: levels and repetitions.
        saved: where the state is kept after every level.

    Returns:
        (B, d), observed entries exactly as given.
    """
    sigmas = karras_sigmas(sampling.num_steps, device=x_obs.device)
    raised = sigmas * (1 + churn_to_gamma(sampling.churn, sampling.num_steps))  # where a step starts: churned
    first, (x,) = saved.restore(raised[0] * noise(x_obs))
    for level in range(first, sampling.num_steps - 1):
        sigma_next = sigmas[level + 1]
        for repeat in range(sampling.num_resamples):
            unknown = ode_step(denoise, x, raised[level], sigma_next)
            sigma_hat = raised[level] if repeat < sampling.num_resamples - 1 else raised[level + 1]
            z = noise(x)
            x = torch.where(observed, x_obs + sigma_hat * z, unknown + (sigma_hat**2 - sigma_next**2).sqrt() * z)
        saved.offer(level + 1, x)
    x = ode_step(denoise, x, raised[-2], sigmas[-1], last=True)
    return torch.where(observed, x_obs, x)


def average_draws(
    denoise: DenoiseFn, x_obs: Tensor, observed: Tensor, rows: Tensor, sampling: Sampling, *, num_trials: int, seed: int
) -> Tensor:
    """The mean of `num_trials` conditional draws ("expected a posteriori"); `rows` (B,) index the noise; (B, d)."""
    total = torch.zeros_like(x_obs)
    for trial in range(num_trials):
        noise = RowNoise(seed, rows, torch.full_like(rows, trial))
        total += draw_conditional(denoise, x_obs, observed, noise, sampling)
    return torch.where(observed, x_obs, total / num_trials)
