"""Time grid and Euler-Maruyama, against Gaussians and a mixture whose score is exact."""

import itertools

import pytest
import torch
from support.exact import Impulses, Mixture, gaussian, no_noise
from torch import Tensor

from ldmiss.diffusion.sde import VPSDE
from ldmiss.sampling.samplers import euler_maruyama
from ldmiss.sampling.time_grids import uniform_time_grid

SDE = VPSDE()
CORRELATED = gaussian([0.5, -1.0], [[1.0, 0.6], [0.6, 0.5]])


def exact_moments(model: Mixture, num_steps: int, tau: float = 1e-3) -> tuple[Tensor, Tensor]:
    """Mean and covariance, without sampling error, of what the sampler makes from a Gaussian's exact score."""
    dim = model.means.shape[1]
    noise = Impulses(num_steps, dim)  # the prior, and every step but the last
    x = noise(torch.empty(noise.num_rows, dim, dtype=torch.float64))
    grid = uniform_time_grid(num_steps, tau)
    return noise.moments(euler_maruyama(model.denoiser(SDE).score, SDE, x, time_grid=grid, noise=noise))


def test_grid() -> None:
    """1 to tau in equal steps, then 0; with 1000 steps and tau = 1e-3 each is 1/1000, as in Song's sampler."""
    grid = uniform_time_grid(1000, 1e-3)
    assert (len(grid), grid[0], grid[-1]) == (1001, 1.0, 0.0)
    torch.testing.assert_close(grid.diff(), torch.full((1000,), -1e-3), rtol=0, atol=1e-7)
    torch.testing.assert_close(uniform_time_grid(3, 0.2), torch.tensor([1.0, 0.6, 0.2, 0.0]))
    with pytest.raises(ValueError, match="at least 2"):
        uniform_time_grid(1, 1e-3)


def test_gaussian_moments() -> None:
    """A thousand steps give a correlated Gaussian's mean and covariance, up to the first-order step error."""
    mean, covariance = exact_moments(CORRELATED, 1000)
    torch.testing.assert_close(mean, CORRELATED.mean(), rtol=0, atol=0.01)
    torch.testing.assert_close(covariance, CORRELATED.covariance(), rtol=0, atol=0.01)


def test_weak_convergence_is_first_order() -> None:
    """Twice the steps, half the error of the covariance (tau shrinks with the step, so that it sets no floor)."""
    errors = [
        float((exact_moments(CORRELATED, n, tau=1 / n)[1] - CORRELATED.covariance()).norm()) for n in (50, 100, 200)
    ]
    for coarse, fine in itertools.pairwise(errors):
        assert 1.7 < coarse / fine < 2.4


def test_last_step_is_the_mean_without_noise() -> None:
    """The last step adds no noise: it is x + (drift - g^2 score) dt by hand, and the noise source is not called."""
    x, t = torch.tensor([[2.0, -1.0]], dtype=torch.float64), 0.25
    calls = []

    def noise(state: Tensor) -> Tensor:
        calls.append(state)
        return torch.ones_like(state)

    grid = torch.tensor([t, 0.0], dtype=torch.float64)
    result = euler_maruyama(lambda x_t, _: -3 * x_t, SDE, x, time_grid=grid, noise=noise)
    beta = 0.1 + t * 19.9
    torch.testing.assert_close(result, x + (-0.5 * beta * x + beta * 3 * x) * -t)
    assert not calls
    euler_maruyama(lambda x_t, _: -3 * x_t, SDE, x, time_grid=uniform_time_grid(7, 0.1), noise=noise)
    assert len(calls) == 6


def test_noise_of_a_step_has_variance_g_squared_dt() -> None:
    """With zero drift from the score's side, one unit of noise moves the state by g(t) sqrt(dt)."""
    x = torch.zeros(1, 1, dtype=torch.float64)
    grid = torch.tensor([0.8, 0.5, 0.5], dtype=torch.float64)  # the noise-free last step has length 0
    result = euler_maruyama(lambda x_t, _: 0 * x_t, SDE, x, time_grid=grid, noise=torch.ones_like)
    assert float(result) == pytest.approx(((0.1 + 0.8 * 19.9) * 0.3) ** 0.5)


def test_condition_is_imposed_at_the_time_reached() -> None:
    """The condition sees every time of the grid but the first, and its word is final."""
    times = []

    def condition(x: Tensor, t: Tensor) -> Tensor:
        times.append(float(t))
        return torch.full_like(x, 7.0)

    grid = torch.tensor([1.0, 0.5, 0.25, 0.0])
    x = euler_maruyama(lambda x, _: -x, SDE, torch.ones(2, 3), time_grid=grid, noise=no_noise, condition=condition)
    assert times == [0.5, 0.25, 0.0]
    assert (x == 7).all()
