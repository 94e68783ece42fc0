"""DiffPuter's E-step draws one number where the algorithm adds three, and has the law of the algorithm as written."""

import itertools
from collections.abc import Callable

import pytest
import torch
from support.exact import Impulses, Mixture, gaussian
from support.two_samples import LEVEL, Draws, energy_test, smallest_ks
from torch import Tensor

from ldmiss.core.noise import NoiseFn, RowNoise, torch_generator
from ldmiss.diffputer.edm import churn_to_gamma, heun_step, karras_sigmas
from ldmiss.diffputer.em import Sampling, draw_conditional

SAMPLING = Sampling(num_steps=12, num_resamples=3)
NUM_DRAWS = 1500

DIM, OBSERVED = 5, torch.arange(5) < 2
CLUSTERS = Mixture(
    torch.tensor([0.5, 0.5], dtype=torch.float64),
    torch.tensor([[0.4], [-0.4]], dtype=torch.float64).expand(2, DIM),
    (0.04 * torch.ones(DIM, DIM, dtype=torch.float64) + 0.01 * torch.eye(DIM, dtype=torch.float64)).expand(2, -1, -1),
)
X_OBS = torch.tensor([0.1, -0.05, 0.0, 0.0, 0.0], dtype=torch.float64)
"""Between the clusters: draws fall into both."""

Law = tuple[Tensor, Tensor]


def as_written(
    denoise: Callable[[Tensor, Tensor], Tensor], x_obs: Tensor, observed: Tensor, noise: NoiseFn, sampling: Sampling
) -> Tensor:
    """Zhang et al. 2025, Algorithm 3, with numbers of their own for the known part, the re-noising and the churn."""
    sigmas, gamma = karras_sigmas(sampling.num_steps), churn_to_gamma(sampling.churn, sampling.num_steps)
    x = sigmas[0] * noise(x_obs)
    for sigma, sigma_next in itertools.pairwise(sigmas[:-1]):
        for repeat in range(sampling.num_resamples):
            known = x_obs + sigma_next * noise(x)
            x = torch.where(observed, known, heun_step(denoise, x, sigma, sigma_next, gamma=gamma, noise=noise))
            if repeat + 1 < sampling.num_resamples:
                x = x + (sigma**2 - sigma_next**2).sqrt() * noise(x)
    x = heun_step(denoise, x, sigmas[-2], sigmas[-1], gamma=gamma, noise=noise, last=True)
    return torch.where(observed, x_obs, x)


@pytest.mark.parametrize("churn", [0.0, 1.0, 40.0])
@pytest.mark.parametrize(("num_steps", "num_resamples"), [(2, 1), (10, 1), (10, 4)])
def test_on_a_gaussian_mean_and_covariance_are_the_same(num_steps: int, num_resamples: int, churn: float) -> None:
    """To rounding: both samplers are affine in their noise there, which impulses measure without sampling error."""
    model, sampling = gaussian([0.1, -0.2, 0.3], COVARIANCE), Sampling(num_steps, num_resamples, churn)
    observed, x_obs = torch.tensor([True, False, False]), torch.tensor([0.6, 0.0, 0.0], dtype=torch.float64)

    def law(draw: Callable[..., Tensor], num_calls: int) -> Law:
        noise = Impulses(num_calls, 3)
        rows = (part.expand(noise.num_rows, 3) for part in (x_obs, observed))
        return noise.moments(draw(model.edm_denoise, *rows, noise, sampling))

    mine = law(draw_conditional, 1 + (num_steps - 1) * num_resamples)
    theirs = law(as_written, 2 + (num_steps - 1) * (3 * num_resamples - 1))
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


COVARIANCE = [[0.25, 0.2, 0.1], [0.2, 0.25, 0.05], [0.1, 0.05, 0.2]]


@pytest.fixture(scope="module")
def expected() -> Draws:
    """Draws of the algorithm as written."""
    generator = torch_generator("cpu", 1, "as written")
    return draws_of(as_written, lambda x: torch.randn(x.shape, generator=generator, dtype=x.dtype))


def draws_of(draw: Callable[..., Tensor], noise: NoiseFn, sampling: Sampling = SAMPLING) -> Draws:
    """The missing entries of as many draws for one row, (draws, d missing)."""
    x_obs, observed = (part.expand(NUM_DRAWS, DIM) for part in (X_OBS, OBSERVED))
    completed = draw(CLUSTERS.edm_denoise, x_obs, observed, noise, sampling)
    return completed[:, 2:].numpy()


def own(sampling: Sampling = SAMPLING) -> Draws:
    """Draws of our E-step."""
    return draws_of(draw_conditional, RowNoise(7, torch.arange(NUM_DRAWS)), sampling)


def test_on_two_clusters_draws_have_the_same_law(expected: Draws) -> None:
    """Far from a Gaussian: no pixel's law differs, nor their joint law."""
    assert smallest_ks(own(), expected) > LEVEL
    assert energy_test(own(), expected) > LEVEL


@pytest.mark.slow
@pytest.mark.parametrize("sampling", [Sampling(12, 1), Sampling(6, 3)], ids=["repetitions", "levels"])
def test_another_setting_is_seen_by_these_tests(expected: Draws, sampling: Sampling) -> None:
    """They tell a sampler apart that differs in one setting (churn is none: it hardly moves the law)."""
    assert min(smallest_ks(own(sampling), expected), energy_test(own(sampling), expected)) < LEVEL
