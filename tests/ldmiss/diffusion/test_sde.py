"""The VP-SDE: closed forms against known values and against integrating its own drift and diffusion."""

import pytest
import torch
from scipy.integrate import solve_ivp

from ldmiss.core.shapes import append_dims
from ldmiss.diffusion.sde import VPSDE

SDE = VPSDE()


def double(t: float) -> torch.Tensor:
    """A time in float64."""
    return torch.tensor(t, dtype=torch.float64)


def test_known_values() -> None:
    """alpha(1) = .00657 and sigma(1e-3) = .0105 with the paper's beta from 0.1 to 20 (Eq. 7)."""
    assert SDE.beta(double(0.0)) == pytest.approx(0.1)
    assert SDE.beta(double(1.0)) == pytest.approx(20.0)
    assert SDE.marginal_prob(double(1.0))[0] == pytest.approx(0.00657, abs=5e-6)
    assert SDE.marginal_prob(double(1e-3))[1] == pytest.approx(0.0105, abs=5e-5)
    assert SDE.diffusion(double(0.5)) ** 2 == pytest.approx(10.05)


def test_variance_is_preserved() -> None:
    """alpha^2 + sigma^2 = 1 at all times, and t = 0 is the data exactly."""
    alpha, sigma = SDE.marginal_prob(torch.linspace(0, 1, 101, dtype=torch.float64))
    torch.testing.assert_close(alpha**2 + sigma**2, torch.ones(101, dtype=torch.float64), rtol=0, atol=1e-14)
    assert (alpha[0], sigma[0]) == (1, 0)


def test_float32_sigma_does_not_cancel() -> None:
    """In float32 sigma keeps full relative precision at small t, where 1 - alpha^2 would have lost half its digits."""
    t = torch.tensor([1e-5, 1e-4, 1e-3])
    torch.testing.assert_close(SDE.marginal_prob(t)[1].double(), SDE.marginal_prob(t.double())[1], rtol=1e-6, atol=0)


@pytest.mark.parametrize("t_end", [1e-3, 0.1, 0.5, 1.0])
def test_marginals_match_the_sde(t_end: float) -> None:
    """Mean and variance follow from integrating dm = f m dt and dv = (2 f v + g^2) dt with the SDE's own f and g."""

    def derivative(t: float, moments: list[float]) -> list[float]:
        rate = float(SDE.drift(torch.ones(1, dtype=torch.float64), double(t)))
        return [rate * moments[0], 2 * rate * moments[1] + float(SDE.diffusion(double(t)) ** 2)]

    mean, variance = solve_ivp(derivative, (0, t_end), [1.0, 0.0], rtol=1e-9, atol=1e-12).y[:, -1]
    alpha, sigma = SDE.marginal_prob(double(t_end))
    assert float(alpha) == pytest.approx(mean, rel=1e-6)
    assert float(sigma) ** 2 == pytest.approx(variance, rel=1e-6)


def test_perturb_uses_each_rows_time() -> None:
    """x_t = alpha x_0 + sigma eps with one time per row, whatever the number of axes."""
    generator = torch.Generator().manual_seed(0)
    x_0, eps = torch.randn(2, 3, 1, 2, 2, dtype=torch.float64, generator=generator)
    t = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    together = SDE.perturb(x_0, t, eps)
    for i in range(3):
        alpha, sigma = SDE.marginal_prob(t[i])
        torch.testing.assert_close(together[i], alpha * x_0[i] + sigma * eps[i])


def test_append_dims_refuses_more_than_one_value_per_row() -> None:
    """(B,) broadcasts over the last axes; a matrix is a mistake."""
    assert append_dims(torch.ones(4), torch.ones(4, 1, 2, 2)).shape == (4, 1, 1, 1)
    assert append_dims(torch.ones(()), torch.ones(4, 2)).shape == ()
    with pytest.raises(ValueError, match="one value per row"):
        append_dims(torch.ones(4, 1), torch.ones(4, 2))
