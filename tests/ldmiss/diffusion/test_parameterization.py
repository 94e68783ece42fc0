"""Score, noise and clean data: what was put in, and Tweedie's formula where it is exact."""

import pytest
import torch
from support.exact import gaussian

from ldmiss.core.shapes import append_dims
from ldmiss.diffusion.parameterization import Denoiser, eps_from_velocity, score_from_eps, velocity, x_0_from_eps
from ldmiss.diffusion.sde import VPSDE

SDE = VPSDE()


def random(*shape: int) -> torch.Tensor:
    """Normal numbers, float64, the same in every run."""
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("t", [torch.tensor(0.3), torch.tensor([0.01, 0.3, 0.6, 1.0])], ids=["shared", "per row"])
def test_the_noise_put_in_gives_score_and_data(t: torch.Tensor) -> None:
    """From the noise of the SDE's perturbation, its data come back and the score is the noise over -sigma."""
    x_0, eps, t = random(4, 1, 3, 3), random(4, 1, 3, 3) + 1, t.double()
    alpha, sigma = SDE.marginal_prob(t)
    torch.testing.assert_close(x_0_from_eps(SDE.perturb(x_0, t, eps), eps, alpha, sigma), x_0)
    torch.testing.assert_close(score_from_eps(eps, sigma) * append_dims(sigma, eps), -eps)


@pytest.mark.parametrize("time", [1e-3, 0.3, 1.0])
def test_tweedie_is_exact_for_gaussian_data(time: float) -> None:
    """The denoiser's x_0 is the posterior mean mu + a C (a^2 C + s^2)^-1 (x_t - a mu), and its score the gradient."""
    model = gaussian([0.5, -1.0], [[1.0, 0.6], [0.6, 0.5]])
    mean, covariance = model.means[0], model.covariances[0]
    x_t, t = random(6, 2), torch.tensor(time, dtype=torch.float64)
    alpha, sigma = SDE.marginal_prob(t)
    precision = torch.linalg.inv(alpha**2 * covariance + sigma**2 * torch.eye(2))
    score, x_0 = model.denoiser(SDE).score_and_x_0(x_t, t)
    torch.testing.assert_close(score, -(x_t - alpha * mean) @ precision)
    torch.testing.assert_close(x_0, mean + alpha * (x_t - alpha * mean) @ precision @ covariance)


def test_score_and_x_0_cost_one_evaluation() -> None:
    """Both come from the same call of the network, and `score` is the same score."""
    calls = []

    def eps_fn(x_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        calls.append(t)
        return x_t.tanh()

    denoiser, x_t, t = Denoiser(eps_fn, SDE), random(3, 2), torch.tensor(0.4, dtype=torch.float64)
    score, _ = denoiser.score_and_x_0(x_t, t)
    assert len(calls) == 1
    assert torch.equal(score, denoiser.score(x_t, t))


def test_the_noise_of_a_velocity() -> None:
    """It is the noise that the velocity was made of, at all times."""
    sde, generator = VPSDE(), torch.Generator().manual_seed(0)
    x_0, eps = torch.randn(2, 50, 1, 4, 4, dtype=torch.float64, generator=generator)
    t = torch.linspace(1e-3, 1, 50, dtype=torch.float64)
    v = velocity(sde, x_0, t, eps)
    torch.testing.assert_close(eps_from_velocity(lambda x_t, t: v, sde)(sde.perturb(x_0, t, eps), t), eps)
