"""Models that are exact, so that samplers, guidance and imputation have known answers (no trained network anywhere)."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ldmiss.core.shapes import append_dims
from ldmiss.diffusion.parameterization import Denoiser
from ldmiss.diffusion.sde import VPSDE


@dataclass(frozen=True)
class Mixture:
    """sum_k weights_k N(means_k, covariances_k): weights (K,), means (K, d), covariances (K, d, d); float64."""

    weights: Tensor
    means: Tensor
    covariances: Tensor

    @cached_property
    def axes(self) -> tuple[Tensor, Tensor]:
        """Principal variances (K, d) and axes (K, d, d): with noise, Q L Q^T becomes Q (scale^2 L + std^2) Q^T."""
        values, vectors = torch.linalg.eigh(self.covariances)
        return values, vectors

    def mean(self) -> Tensor:
        """(d,)."""
        return self.weights @ self.means

    def covariance(self) -> Tensor:
        """(d, d): the mean of the covariances plus the covariance of the means."""
        centred = self.means - self.mean()
        return torch.einsum("k,kij->ij", self.weights, self.covariances) + (self.weights * centred.T) @ centred

    def score(self, x: Tensor, scale: Tensor, std: Tensor) -> Tensor:
        """Gradient of the log-density of scale * x_0 + std * eps at x (B, ...); scale and std () or (B,)."""
        flat = x.flatten(1)
        values, vectors = (part.to(x.dtype) for part in self.axes)
        scale, std = scale.to(x.dtype).reshape(-1, 1, 1), std.to(x.dtype).reshape(-1, 1, 1)
        y = torch.einsum("bkj,kji->bki", flat[:, None, :] - scale * self.means.to(x.dtype), vectors)  # (B, K, d)
        variances = scale**2 * values + std**2
        log_density = self.weights.to(x.dtype).log() - 0.5 * (y**2 / variances + variances.log()).sum(2)
        responsibilities = log_density.softmax(1)
        scores = -torch.einsum("bki,kji->bkj", y / variances, vectors)
        return (responsibilities[:, :, None] * scores).sum(1).reshape(x.shape)

    def eps_fn(self, sde: VPSDE) -> Callable[[Tensor, Tensor], Tensor]:
        """The eps-network that a perfectly trained one would be: -sigma_t times the score of p_t."""

        def eps(x_t: Tensor, t: Tensor) -> Tensor:
            alpha_t, sigma_t = sde.marginal_prob(t)
            return -append_dims(sigma_t, x_t) * self.score(x_t, alpha_t, sigma_t)

        return eps

    def denoiser(self, sde: VPSDE) -> Denoiser:
        """The exact denoiser under the VP-SDE."""
        return Denoiser(self.eps_fn(sde), sde)

    def edm_denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        """E[x_0 | x_0 + sigma eps = x], (B, ...): the exact EDM denoiser (Tweedie)."""
        return x + append_dims(sigma, x) ** 2 * self.score(x, torch.ones_like(sigma), sigma)


def gaussian(mean: list[float], covariance: list[list[float]]) -> Mixture:
    """A single Gaussian."""
    one = torch.ones(1, dtype=torch.float64)
    return Mixture(one, torch.tensor([mean], dtype=torch.float64), torch.tensor([covariance], dtype=torch.float64))


def conditional(model: Mixture, observed: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the missing given the observed entries of one row x (d,), for a single Gaussian."""
    mean, covariance = model.means[0], model.covariances[0]
    gain = covariance[~observed][:, observed] @ torch.linalg.inv(covariance[observed][:, observed])
    deviation = x[observed].double() - mean[observed]
    left = covariance[~observed][:, ~observed] - gain @ covariance[observed][:, ~observed]
    return mean[~observed] + gain @ deviation, left


def conditionals(model: Mixture, given: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Of rows x (B, d), each with its own given entries (B, d): mean (B, d) and covariance (B, d, d) of all entries.

    That of a single Gaussian; given entries are themselves, with no variance. Values that are not given do not matter.
    """
    mean, covariance = model.means[0], model.covariances[0]
    both = given[:, :, None] & given[:, None, :]
    among_given = torch.where(both, covariance, torch.eye(len(mean), dtype=torch.float64))
    with_given = torch.where(given[:, None, :], covariance, 0.0)
    deviation = torch.where(given, x.double() - mean, 0.0)
    gain = torch.linalg.solve(among_given, with_given, left=False)
    means = mean + (gain @ deviation[:, :, None])[:, :, 0]
    return means, covariance - gain @ with_given.transpose(1, 2)


class Impulses:
    """The noise that measures a sampler which is affine in its noise, as every sampler is on a single Gaussian.

    Row 0 gets no noise; every other row gets one unit impulse in one number of one call. The result's row 0 is then
    the sampler's exact mean, and the deviations of the others from it square to its exact covariance.
    """

    def __init__(self, num_calls: int, dim: int) -> None:
        self.num_rows, self.dim, self.calls = 1 + num_calls * dim, dim, 0

    def __call__(self, x: Tensor) -> Tensor:
        """The noise of the next call, of the shape of x, (num_rows, ...)."""
        noise = torch.zeros(self.num_rows, self.dim, dtype=x.dtype)
        numbers = torch.arange(self.dim)
        noise[1 + self.calls * self.dim + numbers, numbers] = 1
        self.calls += 1
        return noise.reshape(x.shape)

    def moments(self, result: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (d,) and covariance (d, d) of the sampler with standard normal noise; all impulses must be used up."""
        assert 1 + self.calls * self.dim == self.num_rows, "another number of calls than expected"
        flat = result.flatten(1)
        deviations = flat[1:] - flat[0]
        return flat[0], deviations.T @ deviations


def no_noise(x: Tensor) -> Tensor:
    """A noise source that is silent."""
    return torch.zeros_like(x)
