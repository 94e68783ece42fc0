"""What a decoder leaves out, on data whose law is known."""

import pytest
import torch
from torch import Tensor

from ldmiss.posterior.residual import NUM_LEVELS, Residual, fit_residual

SHAPE = (2000, 1, 8, 8)


def normal(generator: torch.Generator) -> Tensor:
    return torch.randn(SHAPE, generator=generator)


@pytest.mark.parametrize("posterior_sd", [0.0, 0.1])
def test_the_law_of_the_residual_is_found(posterior_sd: float) -> None:
    """By decoded value, its lopsided shape included, whatever the width of the posterior: that is in the draws."""
    generator = torch.Generator().manual_seed(0)
    light = torch.rand(SHAPE, generator=generator) < 0.5
    truth, *draws = (light + posterior_sd * normal(generator) for _ in range(4))
    exponential = torch.empty(SHAPE).exponential_(generator=generator) - 1
    truth = truth + torch.where(light, 0.3 * exponential, 0.02)
    hidden = torch.rand(SHAPE, generator=generator) < 0.5
    residual = fit_residual(torch.where(hidden, truth, float("nan")), hidden, (draws[0], draws[1], draws[2]))
    for value, mean, sd in ((0.0, 0.02, 0.0), (1.0, 0.0, 0.3)):
        decoded = torch.full(SHAPE, value) + posterior_sd * normal(generator)
        added = residual.add(decoded, normal(generator)) - decoded
        assert float(added.mean()) == pytest.approx(mean, abs=0.015)
        assert float(added.std()) == pytest.approx(sd, abs=0.05)
    if posterior_sd == 0:
        assert float((added < -0.2).double().mean()) == pytest.approx(1 - torch.e ** (-1 / 3), abs=0.02)


def test_each_level_is_as_likely_and_each_value_has_its_bin() -> None:
    """The noise decides on the level alone; values beyond the edges belong to the first and the last bin."""
    residual = Residual(torch.tensor([0.2, 0.5]), torch.arange(12.0).reshape(3, 4))
    noise = torch.tensor([-9.0, -0.7, -0.6, 0.1, 0.7, 9.0])
    for value, least in ((-5.0, 0), (0.3, 4), (7.0, 8)):
        decoded = torch.full_like(noise, value)
        expected = least + torch.tensor([0.0, 0.0, 1.0, 2.0, 3.0, 3.0])
        torch.testing.assert_close(residual.add(decoded, noise) - decoded, expected)


def test_draws_that_differ_more_than_they_err_leave_a_shift_alone() -> None:
    """A variance is never negative; few values, few bins."""
    zero = torch.zeros(1, 1, 4, 5)
    residual = fit_residual(zero + 0.3, zero == 0, (zero + 0.5, zero - 0.5, zero - 0.5))
    torch.testing.assert_close(residual.quantiles[:, 0], torch.tensor([0.3, 0.8]))
    assert torch.equal(residual.quantiles[:1], residual.quantiles[:1, :1].expand(1, NUM_LEVELS))


def test_a_shift_is_no_spread() -> None:
    """A decoder that is off by the same everywhere, behind a posterior of width 0.1: the shift, and nothing else."""
    generator = torch.Generator().manual_seed(1)
    truth, *draws = (0.5 + 0.1 * normal(generator) for _ in range(4))
    residual = fit_residual(truth + 0.3, truth < 9, (draws[0], draws[1], draws[2]))
    assert float((residual.quantiles.mean(1) - 0.3).abs().max()) < 0.01
    assert float(residual.quantiles.var(1).mean().sqrt()) < 0.02


def test_rare_errors_keep_their_variance() -> None:
    """One value in two hundred is white where all are decoded as black."""
    generator = torch.Generator().manual_seed(2)
    decoded = torch.zeros(SHAPE)
    truth = (torch.rand(SHAPE, generator=generator) < 0.005).float()
    residual = fit_residual(truth, decoded == 0, (decoded, decoded, decoded))
    added = residual.add(decoded, normal(generator))
    assert float(added.var()) == pytest.approx(0.005, rel=0.1)
    assert float((added > 0.5).double().mean()) == pytest.approx(0.005, rel=0.2)
