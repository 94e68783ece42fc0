"""The solvers of the probability-flow ODE and resampling, against a mixture and a Gaussian whose scores are exact."""

import itertools
from collections.abc import Callable

import pytest
import torch
from exact import Mixture, conditional, gaussian, no_noise
from torch import Tensor

from ldmiss.diffusion.conditioning import replace_observed
from ldmiss.diffusion.parameterization import Denoiser
from ldmiss.diffusion.samplers import (
    ODE_SOLVERS,
    euler_maruyama,
    log_snr_time_grid,
    sample_from_prior,
    uniform_time_grid,
)
from ldmiss.diffusion.sde import VPSDE
from ldmiss.noise import RowNoise

SDE = VPSDE()
TAU = 1e-3
MIXTURE = Mixture(
    torch.tensor([0.3, 0.7], dtype=torch.float64),
    torch.tensor([[-1.5, 0.0], [1.0, 0.5]], dtype=torch.float64),
    torch.tensor([[[0.1, 0.05], [0.05, 0.1]], [[0.2, 0.0], [0.0, 0.05]]], dtype=torch.float64),
)
Solver = Callable[..., Tensor]


def grid_in_float64(num_steps: int) -> Tensor:
    """`log_snr_time_grid` at a precision that leaves the solver's error alone."""
    start, stop = SDE.log_snr(torch.tensor([1.0, TAU], dtype=torch.float64)).tolist()
    times = SDE.time_of_log_snr(torch.linspace(start, stop, num_steps, dtype=torch.float64))
    return torch.cat([times, torch.zeros(1, dtype=torch.float64)])


def counted(denoiser: Denoiser) -> tuple[Denoiser, list[Tensor]]:
    """The same denoiser, and the times at which it is asked."""
    times: list[Tensor] = []

    def eps_fn(x_t: Tensor, t: Tensor) -> Tensor:
        times.append(t)
        return denoiser.eps_fn(x_t, t)

    return Denoiser(eps_fn, denoiser.sde), times


def test_log_snr_and_its_inverse() -> None:
    """lambda = log(alpha / sigma); the closed-form inverse gives the time back over the whole range."""
    t = torch.logspace(-4, 0, 50, dtype=torch.float64)
    alpha, sigma = SDE.marginal_prob(t)
    torch.testing.assert_close(SDE.log_snr(t), (alpha / sigma).log())
    torch.testing.assert_close(SDE.time_of_log_snr(SDE.log_snr(t)), t, rtol=1e-9, atol=0)


def test_log_snr_grid() -> None:
    """From 1 to tau in equal steps of the log-SNR, then 0."""
    grid = log_snr_time_grid(SDE, 12, TAU)
    assert (len(grid), grid[0].item(), grid[-1].item()) == (13, pytest.approx(1.0), 0.0)
    assert grid[-2].item() == pytest.approx(TAU, rel=1e-5)
    steps = SDE.log_snr(grid[:-1].double()).diff()
    torch.testing.assert_close(steps, steps.mean().expand(11), rtol=1e-4, atol=0)
    with pytest.raises(ValueError, match="at least 2"):
        log_snr_time_grid(SDE, 1, TAU)


@pytest.mark.parametrize("solver", ODE_SOLVERS.values(), ids=list(ODE_SOLVERS))
def test_convergence_is_second_order(solver: Solver) -> None:
    """On a mixture with an exact score, twice the steps give a quarter of the error."""
    x = torch.randn(50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    denoiser = MIXTURE.denoiser(SDE)
    reference = ODE_SOLVERS["heun"](denoiser, x, time_grid=grid_in_float64(1500))
    errors = [
        float((solver(denoiser, x, time_grid=grid_in_float64(n)) - reference).square().mean().sqrt())
        for n in (100, 200, 400)
    ]
    for coarse, fine in itertools.pairwise(errors):
        assert 3.2 < coarse / fine < 5.0


@pytest.mark.parametrize("sampler", ["euler_maruyama", *ODE_SOLVERS])
def test_each_sampler_has_the_models_law(sampler: str) -> None:
    """Mean and covariance of 5,000 samples of the mixture (3-sigma error 0.05); the ODE solvers need few steps."""
    noise = RowNoise(0, torch.arange(5000))
    num_steps = 200 if sampler == "euler_maruyama" else 30
    x = sample_from_prior(
        sampler, MIXTURE.denoiser(SDE), noise(torch.empty(5000, 2)), num_steps=num_steps, tau=TAU, noise=noise
    ).double()
    torch.testing.assert_close(x.mean(0), MIXTURE.mean(), rtol=0, atol=0.06)
    torch.testing.assert_close(x.T.cov(), MIXTURE.covariance(), rtol=0, atol=0.07)


@pytest.mark.parametrize(("sampler", "per_step"), [("euler_maruyama", 1), ("dpm_solver_pp", 1), ("heun", 2)])
def test_number_of_evaluations(sampler: str, per_step: int) -> None:
    """What `num_steps` costs; nothing is asked below tau."""
    denoiser, times = counted(MIXTURE.denoiser(SDE))
    sample_from_prior(sampler, denoiser, torch.zeros(1, 2), num_steps=9, tau=TAU, noise=no_noise)
    assert len(times) == per_step * 8 + 1
    assert min(times).item() >= TAU * (1 - 1e-5)


def test_unknown_sampler_is_named() -> None:
    """With what is allowed."""
    with pytest.raises(ValueError, match="unknown sampler 'ddim'; allowed: euler_maruyama, heun, dpm_solver_pp"):
        sample_from_prior("ddim", MIXTURE.denoiser(SDE), torch.zeros(1, 2), num_steps=9, tau=TAU, noise=no_noise)


def test_transition_composes_with_the_marginals() -> None:
    """x_0 -> x_s -> x_t has the law of x_0 -> x_t: the factors of mean and noise, in closed form."""
    s, t = torch.tensor(0.2, dtype=torch.float64), torch.tensor(0.7, dtype=torch.float64)
    one, zero = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    (alpha_s, sigma_s), (alpha_t, sigma_t) = SDE.marginal_prob(s), SDE.marginal_prob(t)
    ratio, std = SDE.transition(one, s, t, zero), SDE.transition(zero, s, t, one)
    torch.testing.assert_close(ratio * alpha_s, alpha_t.reshape(1))
    torch.testing.assert_close((ratio * sigma_s) ** 2 + std**2, (sigma_t**2).reshape(1))


def test_resampling_brings_replacement_nearer_to_the_conditional() -> None:
    """Plain replacement pulls the missing coordinate too little; RePaint's repetitions mend most of it."""
    law = gaussian([0.0, 0.0], [[1.0, 0.9], [0.9, 1.0]])
    observed, x_0 = torch.tensor([True, False]), torch.tensor([1.5, 0.0])
    mean, covariance = conditional(law, observed, x_0)
    biases, ratios = [], []
    for num_resamples in (1, 10):
        noise = RowNoise(0, torch.arange(1500))
        condition = replace_observed(SDE, x_0.expand(1500, 2), observed.expand(1500, 2), noise)
        grid = uniform_time_grid(40, TAU)
        start = condition(noise(torch.empty(1500, 2)), grid[0])
        x = euler_maruyama(
            law.denoiser(SDE).score, SDE, start, time_grid=grid, noise=noise, condition=condition,
            num_resamples=num_resamples,
        )[:, 1]  # fmt: skip
        biases.append(abs(float(x.mean() - mean)))
        ratios.append(float(x.var() / covariance))
    assert biases[1] < 0.5 * biases[0]
    assert biases[0] > 0.05
    assert abs(ratios[1] - 1) < abs(ratios[0] - 1)
