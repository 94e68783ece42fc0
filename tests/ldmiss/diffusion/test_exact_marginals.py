"""Marginals, prior and Tweedie's formula on a mixture, against Bayes' rule by quadrature (nothing of ours in it)."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.exact import Mixture

from ldmiss.diffusion.sde import VPSDE

SDE = VPSDE()
WEIGHTS, MEANS, STDS = np.array([0.3, 0.7]), np.array([-0.8, 0.6]), np.array([0.1, 0.3])
MODEL = Mixture(
    torch.tensor(WEIGHTS), torch.tensor(MEANS)[:, None], torch.tensor(STDS**2)[:, None, None]
)  # on a line, in the range of pixels
X_0 = np.linspace(-3, 3, 20_001)


def density(x: NDArray[np.float64], mean: NDArray[np.float64] | float, std: float) -> NDArray[np.float64]:
    """N(x; mean, std^2)."""
    return np.exp(-0.5 * ((x - mean) / std) ** 2) / (std * (2 * np.pi) ** 0.5)


def joint(x_t: float, time: float) -> NDArray[np.float64]:
    """p(x_0) p(x_t | x_0) on the grid X_0, the kernel from Eq. 7 in closed form (Song et al. 2021, Eq. 33)."""
    log_alpha = -0.25 * time**2 * 19.9 - 0.05 * time
    prior = sum(w * density(X_0, m, s) for w, m, s in zip(WEIGHTS, MEANS, STDS, strict=True))
    return prior * density(np.full_like(X_0, x_t), np.exp(log_alpha) * X_0, (1 - np.exp(2 * log_alpha)) ** 0.5)


@pytest.mark.parametrize("time", [0.01, 0.2, 0.6, 1.0])
def test_tweedie_is_bayes_rule(time: float) -> None:
    """E[x_0 | x_t] = (x_t + sigma^2 score) / alpha is the posterior mean, far from Gaussian data too."""
    x_t = torch.tensor([[-1.0], [0.0], [0.3], [1.2]], dtype=torch.float64)
    _, x_0 = MODEL.denoiser(SDE).score_and_x_0(x_t, torch.tensor(time, dtype=torch.float64))
    expected = [float((joint(x, time) * X_0).sum() / joint(x, time).sum()) for x in x_t.flatten().tolist()]
    assert x_0.flatten().tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("time", [0.01, 0.2, 0.6, 1.0])
def test_score_is_the_gradient_of_the_log_marginal(time: float) -> None:
    """By central differences of the quadrature."""
    for x in (-1.0, 0.1, 0.9):
        score = MODEL.denoiser(SDE).score(
            torch.tensor([[x]], dtype=torch.float64), torch.tensor(time, dtype=torch.float64)
        )
        step = 1e-5
        slope = (np.log(joint(x + step, time).sum()) - np.log(joint(x - step, time).sum())) / (2 * step)
        assert float(score) == pytest.approx(slope, rel=1e-4, abs=1e-5)


def test_prior_is_standard_normal() -> None:
    """At t = 1 nothing is left of data in [-1, 1]: the marginal's density is N(0, 1)'s within .5 %, its score -x.

    The signal left is alpha(1) = .0066, at most 2e-5 nats per pixel.
    """
    x = np.linspace(-3, 3, 13)
    marginal = np.array([joint(value, 1.0).sum() * (X_0[1] - X_0[0]) for value in x])
    np.testing.assert_allclose(marginal, density(x, 0.0, 1.0), rtol=0.02)
    assert float(((marginal / density(x, 0.0, 1.0) - 1) ** 2 * density(x, 0.0, 1.0)).sum() * 0.5) < 4e-5
    x_t = torch.tensor(x)[:, None]
    torch.testing.assert_close(MODEL.denoiser(SDE).score(x_t, torch.tensor(1.0)), -x_t, rtol=0, atol=0.01)
