"""Samplers of few steps, and resampling, against a mixture and a Gaussian whose scores are exact."""

import itertools
from collections.abc import Callable
from functools import partial

import pytest
import torch
from support.exact import Impulses, Mixture, conditional, gaussian, no_noise
from torch import Tensor

from ldmiss.core.noise import RowNoise
from ldmiss.diffusion.parameterization import Denoiser
from ldmiss.diffusion.sde import VPSDE
from ldmiss.sampling.replacement import replace_observed
from ldmiss.sampling.samplers import (
    SAMPLERS,
    dpm_solver_pp,
    euler_maruyama,
    num_evaluations,
    probability_flow_heun,
    sample_from_prior,
)
from ldmiss.sampling.time_grids import log_snr_time_grid, uniform_time_grid

SDE = VPSDE()
TAU = 1e-3
MIXTURE = Mixture(
    torch.tensor([0.3, 0.7], dtype=torch.float64),
    torch.tensor([[-1.5, 0.0], [1.0, 0.5]], dtype=torch.float64),
    torch.tensor([[[0.1, 0.05], [0.05, 0.1]], [[0.2, 0.0], [0.0, 0.05]]], dtype=torch.float64),
)
CORRELATED = gaussian([0.5, -1.0], [[1.0, 0.6], [0.6, 0.5]])
Solver = Callable[..., Tensor]
ODE_SOLVERS: dict[str, tuple[Solver, int]] = {
    "heun": (probability_flow_heun, 2),
    "ddim": (partial(dpm_solver_pp, order=1), 1),
    "dpm_solver_pp": (dpm_solver_pp, 2),
}
"""And their orders."""
STOCHASTIC = ("euler_maruyama", "ancestral", "sde_dpm_solver_pp")


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


@pytest.mark.parametrize(("solver", "order"), ODE_SOLVERS.values(), ids=list(ODE_SOLVERS))
def test_order_of_convergence(solver: Solver, order: int) -> None:
    """On a mixture with an exact score, twice the steps give half the error at order 1, a quarter at order 2."""
    x = torch.randn(50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    score = MIXTURE.denoiser(SDE).score
    reference = probability_flow_heun(score, SDE, x, time_grid=grid_in_float64(1500))
    errors = [
        float((solver(score, SDE, x, time_grid=grid_in_float64(n)) - reference).square().mean().sqrt())
        for n in (100, 200, 400)
    ]
    for coarse, fine in itertools.pairwise(errors):
        assert 0.8 * 2**order < coarse / fine < 1.25 * 2**order


def moments_of(num_steps: int, order: int) -> tuple[Tensor, Tensor]:
    """Mean and covariance, without sampling error, of what the stochastic solver makes of a Gaussian's exact score."""
    noise = Impulses(num_steps, 2)  # the prior, and every step but the last
    x = noise(torch.empty(noise.num_rows, 2, dtype=torch.float64))
    grid, score = grid_in_float64(num_steps), CORRELATED.denoiser(SDE).score
    return noise.moments(dpm_solver_pp(score, SDE, x, time_grid=grid, order=order, noise=noise))


@pytest.mark.parametrize("order", [1, 2])
def test_weak_order_of_the_stochastic_solver(order: int) -> None:
    """Twice the steps, half or a quarter of the error of a Gaussian's covariance (order 2: 0.017 with 50 steps)."""
    errors = [float((moments_of(n, order)[1] - CORRELATED.covariance()).norm()) for n in (50, 100, 200)]
    for coarse, fine in itertools.pairwise(errors):
        assert 0.8 * 2**order < coarse / fine < 1.25 * 2**order
    mean, _ = moments_of(200, order)
    torch.testing.assert_close(mean, CORRELATED.mean(), rtol=0, atol=0.05 / order**4)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_each_sampler_has_the_models_law(sampler: str) -> None:
    """Mean and covariance of 5,000 samples of the mixture (3-sigma error 0.05); second order needs few steps."""
    noise = RowNoise(0, torch.arange(5000))
    num_steps = {"euler_maruyama": 200, "ddim": 100, "ancestral": 300}.get(sampler, 30)
    x = sample_from_prior(
        sampler, MIXTURE.denoiser(SDE).score, SDE, noise(torch.empty(5000, 2)),
        num_steps=num_steps, tau=TAU, noise=noise,
    ).double()  # fmt: skip
    torch.testing.assert_close(x.mean(0), MIXTURE.mean(), rtol=0, atol=0.06)
    torch.testing.assert_close(x.T.cov(), MIXTURE.covariance(), rtol=0, atol=0.07)
    assert (x[:, 0] > -0.3).double().mean() == pytest.approx(0.7, abs=0.03)  # neither mode is lost


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_number_of_evaluations(sampler: str) -> None:
    """What `num_steps` costs is what `num_evaluations` says; nothing is asked below tau."""
    denoiser, times = counted(MIXTURE.denoiser(SDE))
    sample_from_prior(sampler, denoiser.score, SDE, torch.zeros(1, 2), num_steps=9, tau=TAU, noise=no_noise)
    assert len(times) == num_evaluations(sampler, 9) == (17 if sampler == "heun" else 9)
    assert min(times).item() >= TAU * (1 - 1e-5)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_which_samplers_add_noise(sampler: str) -> None:
    """The stochastic ones in every step but the last, the others in none."""
    calls: list[Tensor] = []

    def noise(x: Tensor) -> Tensor:
        calls.append(x)
        return torch.ones_like(x)

    score = MIXTURE.denoiser(SDE).score
    sample_from_prior(sampler, score, SDE, torch.zeros(1, 2), num_steps=9, tau=TAU, noise=noise)
    assert len(calls) == (8 if sampler in STOCHASTIC else 0)


def test_unknown_sampler_is_named() -> None:
    """With what is allowed."""
    score = MIXTURE.denoiser(SDE).score
    with pytest.raises(ValueError, match=f"unknown sampler 'euler'; allowed: {', '.join(SAMPLERS)}"):
        sample_from_prior("euler", score, SDE, torch.zeros(1, 2), num_steps=9, tau=TAU, noise=no_noise)


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
