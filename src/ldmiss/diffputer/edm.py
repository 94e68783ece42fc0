"""EDM: preconditioning, loss, noise levels and the stochastic Heun step (Karras et al. 2022), as DiffPuter uses them.

Here the noise level is sigma itself: x_sigma = x_0 + sigma eps (no shrinking of the data, unlike the VP-SDE).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ldmiss.core.noise import NoiseFn
from ldmiss.core.saved_steps import NOT_SAVED, SavedSteps
from ldmiss.core.shapes import append_dims

DenoiseFn = Callable[[Tensor, Tensor], Tensor]
"""(x_sigma (B, ...), sigma () or (B,)) -> E[x_0 | x_sigma], (B, ...)."""

LOG_SIGMA_MEAN = -1.2
LOG_SIGMA_STD = 1.2
"""ln sigma ~ N(-1.2, 1.2^2) in training (Karras et al. 2022, Table 1: P_mean, P_std)."""


@dataclass(frozen=True)
class Preconditioned:
    """D(x; sigma) = c_skip x + c_out F(c_in x, c_noise) (Karras et al. 2022, Eq. 7 and Table 1).

    Attributes:
        network: F(x (B, d), c_noise () or (B,)) -> (B, d).
        sigma_data: standard deviation of the data.
    """

    network: Callable[[Tensor, Tensor], Tensor]
    sigma_data: float = 0.5

    def coefficients(self, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(c_skip, c_out, c_in, c_noise), shapes of sigma."""
        total = (sigma**2 + self.sigma_data**2).sqrt()
        return (self.sigma_data / total) ** 2, sigma * self.sigma_data / total, 1 / total, sigma.log() / 4

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The denoised x, (B, d)."""
        c_skip, c_out, c_in, c_noise = self.coefficients(sigma)
        prediction = self.network(append_dims(c_in, x) * x, c_noise)
        return append_dims(c_skip, x) * x + append_dims(c_out, x) * prediction


def sample_sigmas(num: int, generator: torch.Generator) -> Tensor:
    """Log-normal training noise levels, float32 (num,), on the generator's device."""
    normal = torch.randn(num, generator=generator, device=generator.device)
    return (LOG_SIGMA_MEAN + LOG_SIGMA_STD * normal).exp()


def edm_loss(denoise: DenoiseFn, x_0: Tensor, sigma: Tensor, eps: Tensor, *, sigma_data: float = 0.5) -> Tensor:
    """Weighted squared error of every element, (B, ...); weight (sigma^2 + sigma_data^2) / (sigma sigma_data)^2."""
    weight = (sigma**2 + sigma_data**2) / (sigma * sigma_data) ** 2
    denoised = denoise(x_0 + append_dims(sigma, x_0) * eps, sigma)
    return append_dims(weight, x_0) * (denoised - x_0) ** 2


def karras_sigmas(
    num_steps: int,
    *,
    sigma_min: float = 0.002,
    sigma_max: float = 80.0,
    rho: float = 7.0,
    device: torch.device | str = "cpu",
) -> Tensor:
    """num_steps decreasing noise levels, then 0: (num_steps + 1,) (Karras et al. 2022, Eq. 5)."""
    if num_steps < 2:
        raise ValueError(f"num_steps must be at least 2, got {num_steps}")
    ramp = torch.linspace(0, 1, num_steps, dtype=torch.float64)
    sigmas = (sigma_max ** (1 / rho) + ramp * (sigma_min ** (1 / rho) - sigma_max ** (1 / rho))) ** rho
    return torch.cat([sigmas, torch.zeros(1, dtype=torch.float64)]).to(device, torch.float32)


def heun_step(
    denoise: DenoiseFn,
    x: Tensor,
    sigma: Tensor,
    sigma_next: Tensor,
    *,
    gamma: float,
    noise: NoiseFn,
    last: bool = False,
) -> Tensor:
    """One stochastic Heun step from sigma to sigma_next (Karras et al. 2022, Algorithm 2; S_noise = 1).

    Noise is first raised to (1 + gamma) sigma.

    Args:
        x: state at noise level sigma, (B, ...).
        sigma, sigma_next: levels, shape ().
        gamma: relative rise of the noise level, 0 for the deterministic step.
        noise: the source of the added noise (called once, whatever gamma is).
        last: whether sigma_next is 0 and the step a single Euler step; asking the level would stall a GPU's queue.
    """
    sigma_hat = sigma * (1 + gamma)
    x_hat = x + (sigma_hat**2 - sigma**2).clamp(min=0).sqrt() * noise(x)
    return ode_step(denoise, x_hat, sigma_hat, sigma_next, last=last)


def ode_step(denoise: DenoiseFn, x_hat: Tensor, sigma_hat: Tensor, sigma_next: Tensor, *, last: bool = False) -> Tensor:
    """The deterministic part of `heun_step`: from x_hat (B, ...) at level sigma_hat to sigma_next."""
    d_cur = (x_hat - denoise(x_hat, sigma_hat)) / sigma_hat
    x_next = x_hat + (sigma_next - sigma_hat) * d_cur
    if last:
        return x_next
    d_prime = (x_next - denoise(x_next, sigma_next)) / sigma_next
    return x_hat + (sigma_next - sigma_hat) * 0.5 * (d_cur + d_prime)


def sample_heun(
    denoise: DenoiseFn, x: Tensor, *, sigmas: Tensor, churn: float, noise: NoiseFn, saved: SavedSteps = NOT_SAVED
) -> Tensor:
    """Unconditional samples: Heun steps over all noise levels (2 evaluations each, 1 for the last).

    Args:
        x: the state at sigmas[0], N(0, sigmas[0]^2 I), (B, ...).
        sigmas: decreasing levels ending in 0, (num_steps + 1,).
        churn: S_churn; gamma = min(churn / num_steps, sqrt(2) - 1).
        noise: the source of the added noise.
        saved: where the state is kept after every step.
    """
    gamma = churn_to_gamma(churn, len(sigmas) - 1)
    last = len(sigmas) - 2
    first, (x,) = saved.restore(x)
    for i in range(first, last + 1):
        x = heun_step(denoise, x, sigmas[i], sigmas[i + 1], gamma=gamma, noise=noise, last=i == last)
        saved.offer(i + 1, x)
    return x


def churn_to_gamma(churn: float, num_steps: int) -> float:
    """gamma = min(S_churn / num_steps, sqrt(2) - 1) (Karras et al. 2022, Algorithm 2, S_tmin = 0, S_tmax = inf)."""
    return min(churn / num_steps, 2**0.5 - 1)
