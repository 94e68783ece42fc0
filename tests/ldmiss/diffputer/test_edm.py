"""EDM: closed forms of the preconditioning, the loss, the noise levels, and the Heun step on exact denoisers."""

import itertools

import pytest
import torch
from scipy.stats import kstest
from support.exact import Impulses, gaussian, no_noise
from torch import Tensor

from ldmiss.diffputer.edm import (
    Preconditioned,
    churn_to_gamma,
    edm_loss,
    heun_step,
    karras_sigmas,
    sample_heun,
    sample_sigmas,
)

GAUSSIAN = gaussian([0.1, -0.2], [[0.25, 0.15], [0.15, 0.25]])


def network(x: Tensor, c_noise: Tensor) -> Tensor:
    """Some F(x, c_noise)."""
    return x.sin() + c_noise.reshape(-1, 1)


def test_preconditioning_closed_forms() -> None:
    """Karras et al., Table 1, at sigma = sigma_data = 0.5; the network's input has unit variance at every level."""
    coefficients = Preconditioned(network).coefficients(torch.tensor([0.5]))
    assert [float(c) for c in coefficients] == pytest.approx([0.5, 0.353553, 1.414214, -0.173287], abs=1e-6)
    sigma = torch.logspace(-3, 2, 20, dtype=torch.float64)
    c_in = Preconditioned(network, 0.7).coefficients(sigma)[2]
    torch.testing.assert_close(c_in**2 * (sigma**2 + 0.7**2), torch.ones(20, dtype=torch.float64))


def test_preconditioned_with_a_silent_network_is_exact_on_white_data() -> None:
    """D = c_skip x is the exact denoiser of N(0, sigma_data^2 I)."""
    white = gaussian([0, 0], [[0.25, 0], [0, 0.25]])
    x, sigma = (
        torch.randn(2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)),
        torch.tensor([0.1, 3]),
    )
    denoised = Preconditioned(lambda x, _: 0 * x)(x, sigma.double())
    torch.testing.assert_close(denoised, white.edm_denoise(x, sigma.double()))


def test_loss_is_unweighted_in_the_networks_terms() -> None:
    """weight * c_out^2 = 1: the loss is |F(c_in y, c_noise) - (x_0 - c_skip y) / c_out|^2 (Karras et al., Eq. 8)."""
    x_0, eps = torch.randn(2, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    sigma = torch.logspace(-2, 1.5, 5, dtype=torch.float64)
    denoise = Preconditioned(network)
    c_skip, c_out, c_in, c_noise = (c[:, None] for c in denoise.coefficients(sigma))
    y = x_0 + sigma[:, None] * eps
    expected = (network(c_in * y, c_noise) - (x_0 - c_skip * y) / c_out) ** 2
    torch.testing.assert_close(edm_loss(denoise, x_0, sigma, eps), expected)


def test_loss_weight_follows_sigma_data() -> None:
    """(sigma^2 + sigma_data^2) / (sigma sigma_data)^2: at 3 and 4 it is 25/144."""
    zero, one = torch.zeros(1, 1), torch.ones(1, 1)
    loss = edm_loss(lambda x, _: torch.ones_like(x), zero, torch.tensor([3.0]), one, sigma_data=4.0)
    assert float(loss) == pytest.approx(25 / 144)


def test_training_sigmas_are_log_normal() -> None:
    """ln sigma ~ N(-1.2, 1.2^2)."""
    log_sigmas = sample_sigmas(20_000, torch.Generator().manual_seed(0)).log()
    assert kstest(log_sigmas.numpy(), "norm", args=(-1.2, 1.2)).pvalue > 1e-3


@pytest.mark.parametrize("rho", [1.0, 7.0])
def test_karras_sigmas(rho: float) -> None:
    """From sigma_max to sigma_min in equal steps of sigma^(1/rho), then 0."""
    sigmas = karras_sigmas(50, rho=rho)
    assert sigmas.shape == (51,)
    assert sigmas[-1] == 0
    assert (float(sigmas[0]), float(sigmas[-2])) == pytest.approx((80.0, 0.002))
    steps = sigmas[:-1].double().pow(1 / rho).diff()
    torch.testing.assert_close(steps, steps.mean().expand(49), rtol=1e-3, atol=0)  # the levels are rounded to float32
    with pytest.raises(ValueError, match="at least 2"):
        karras_sigmas(1)


def test_churn_to_gamma() -> None:
    """min(S_churn / num_steps, sqrt(2) - 1)."""
    assert churn_to_gamma(1.0, 50) == 0.02
    assert churn_to_gamma(1e9, 50) == pytest.approx(0.41421356)


def heun_error(num_steps: int) -> float:
    """Largest error of deterministic Heun steps from sigma 2 to 0.1, against the exact flow of a Gaussian.

    Along a principal axis with variance v the flow is (x - mu) sqrt((v + sigma_end^2) / (v + sigma_start^2)).
    """
    mean, (values, vectors) = GAUSSIAN.means[0], torch.linalg.eigh(GAUSSIAN.covariances[0])
    start = torch.tensor([[3.0, -1.0]], dtype=torch.float64)
    sigmas = torch.logspace(0.30103, -1, num_steps + 1, dtype=torch.float64)
    shrink = ((values + sigmas[-1] ** 2) / (values + sigmas[0] ** 2)).sqrt()
    exact = mean + ((start - mean) @ vectors * shrink) @ vectors.T
    x = start
    for sigma, sigma_next in itertools.pairwise(sigmas):
        x = heun_step(GAUSSIAN.edm_denoise, x, sigma, sigma_next, gamma=0.0, noise=no_noise)
    return float((x - exact).abs().max())


def test_heun_is_second_order() -> None:
    """Twice the steps, a quarter of the error."""
    errors = [heun_error(n) for n in (20, 40, 80)]
    assert errors[0] < 1e-2
    for coarse, fine in itertools.pairwise(errors):
        assert 3.5 < coarse / fine < 4.5


def test_churn_raises_the_noise_level_before_the_step() -> None:
    """The state gets noise of variance sigma_hat^2 - sigma^2 with sigma_hat = (1 + gamma) sigma; then Euler to 0."""
    levels = []

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        levels.append(float(sigma))
        return x / 4

    x, sigma = torch.ones(1, 1, dtype=torch.float64), torch.tensor(2.0, dtype=torch.float64)
    result = heun_step(denoise, x, sigma, torch.zeros(()), gamma=0.25, noise=torch.ones_like, last=True)
    assert levels == [2.5]
    assert float(result) == pytest.approx((1 + 1.5) / 4)  # a step to 0 is the denoised state; sqrt(2.5^2 - 2^2) = 1.5


def sampled_moments(num_steps: int, churn: float) -> tuple[Tensor, Tensor]:
    """Mean and covariance, without sampling error, of unconditional samples."""
    noise, sigmas = Impulses(num_steps + 1, 2), karras_sigmas(num_steps)
    x = sigmas[0] * noise(torch.empty(noise.num_rows, 2, dtype=torch.float64))
    return noise.moments(sample_heun(GAUSSIAN.edm_denoise, x, sigmas=sigmas, churn=churn, noise=noise))


@pytest.mark.parametrize("churn", [0.0, 1.0])
def test_sampler_gives_the_gaussians_moments(churn: float) -> None:
    """80 steps, with and without churn, give mean and covariance; the covariance's error falls with second order.

    The mean keeps an error of about 1e-3, as the prior at sigma = 80 is centred at 0.
    """
    mean, covariance = sampled_moments(80, churn)
    torch.testing.assert_close(mean, GAUSSIAN.mean(), rtol=0, atol=2e-3)
    torch.testing.assert_close(covariance, GAUSSIAN.covariance(), rtol=0, atol=2e-3)
    coarse, fine = ((sampled_moments(n, churn)[1] - GAUSSIAN.covariance()).norm() for n in (20, 40))
    assert 3.5 < coarse / fine < 5.5


def test_sampler_costs_two_evaluations_a_step() -> None:
    """And one for the last."""
    evaluations = []

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        evaluations.append(sigma)
        return 0.5 * x

    sample_heun(denoise, torch.ones(1, 1), sigmas=karras_sigmas(50), churn=1.0, noise=no_noise)
    assert len(evaluations) == 99
    assert float(evaluations[0]) == pytest.approx(80 * (1 + 1 / 50))  # churn 1 over 50 steps raises the level by 1/50
