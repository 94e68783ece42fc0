"""Replacement: exact where coordinates are independent, and biased exactly as theory says where they are not."""

import pytest
import torch
from scipy.integrate import solve_ivp
from support.exact import Impulses, Mixture, gaussian
from torch import Tensor

from ldmiss.diffusion.sde import VPSDE
from ldmiss.sampling.replacement import replace_observed
from ldmiss.sampling.samplers import euler_maruyama
from ldmiss.sampling.time_grids import uniform_time_grid

SDE = VPSDE()
OBSERVED = torch.tensor([True, False])
X_0 = torch.tensor([1.5, float("nan")], dtype=torch.float64)


def imputed_moments(model: Mixture, num_steps: int) -> tuple[Tensor, Tensor]:
    """Exact mean and covariance of replacement on a Gaussian with its exact score; X_0 is observed in part."""
    noise = Impulses(2 * num_steps + 1, 2)  # prior; every step but the last; the known part at every time of the grid
    condition = replace_observed(SDE, X_0.expand(noise.num_rows, 2), OBSERVED, noise)
    grid = uniform_time_grid(num_steps, 1e-3)
    x = condition(noise(torch.empty(noise.num_rows, 2, dtype=torch.float64)), grid[0])
    score = model.denoiser(SDE).score
    return noise.moments(euler_maruyama(score, SDE, x, time_grid=grid, noise=noise, condition=condition))


def test_known_part_follows_the_forward_process() -> None:
    """Observed entries become alpha x_0 + sigma eps at the time given, missing ones stay; at t = 0 x_0 comes back."""
    x, t = torch.tensor([[7.0, 8.0]], dtype=torch.float64), torch.tensor(0.4, dtype=torch.float64)
    condition = replace_observed(SDE, X_0[None], OBSERVED, torch.ones_like)
    alpha, sigma = SDE.marginal_prob(t)
    assert condition(x, t).tolist() == [[pytest.approx(float(alpha * 1.5 + sigma)), 8.0]]
    assert condition(x, torch.zeros((), dtype=torch.float64)).tolist() == [[1.5, 8.0]]


def test_exact_for_independent_coordinates() -> None:
    """Observed values come back exactly, and the missing coordinate has its own mean and variance."""
    mean, covariance = imputed_moments(gaussian([0.5, -1.0], [[1.0, 0.0], [0.0, 0.5]]), 500)
    assert mean[0] == 1.5
    assert covariance[0].tolist() == [0.0, 0.0]
    assert mean[1] == pytest.approx(-1.0, abs=0.01)  # the first-order error of 500 steps
    assert covariance[1, 1] == pytest.approx(0.5, abs=0.01)


def test_bias_on_correlated_coordinates_is_the_predicted_one() -> None:
    """Replacement is not conditioning: the known part is noised afresh at every step, so its past is forgotten.

    In the limit of small steps the missing coordinate then follows a linear SDE in which the known one is only seen
    through its mean alpha x_obs; its two moments are integrated here by scipy. They miss the conditional mean -0.4
    and variance 0.64, and the sampler must miss them alike.
    """
    model = gaussian([0.5, -1.0], [[1.0, 0.6], [0.6, 1.0]])

    def derivative(s: float, moments: list[float]) -> list[float]:
        t = torch.tensor(1 - s, dtype=torch.float64)  # s runs with the reverse process
        alpha, sigma = SDE.marginal_prob(t)
        precision = torch.linalg.inv(alpha**2 * model.covariances[0] + sigma**2 * torch.eye(2, dtype=torch.float64))
        deviation = torch.stack([alpha * 1.5, torch.tensor(moments[0])]) - alpha * model.means[0]
        beta, score = float(SDE.beta(t)), -float(precision[1] @ deviation)
        rate = beta * (0.5 - float(precision[1, 1]))
        return [beta * (0.5 * moments[0] + score), 2 * rate * moments[1] + beta]

    limit_mean, limit_variance = solve_ivp(derivative, (0, 1), [0.0, 1.0], rtol=1e-7, atol=1e-9).y[:, -1]
    assert -1.0 < limit_mean < -0.5  # short of the conditional mean
    mean, covariance = imputed_moments(model, 1000)
    assert float(mean[1]) == pytest.approx(limit_mean, abs=0.01)  # the first-order error of 1000 steps
    assert float(covariance[1, 1]) == pytest.approx(limit_variance, abs=0.01)
