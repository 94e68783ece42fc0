"""What a decoder leaves out, on data whose law is known."""

import pytest
import torch
from torch import Tensor

from ldmiss.posterior.residual import LEAST_COUNT, NUM_BINS, residual_sd, residual_variance

SHAPE = (2000, 1, 8, 8)


def normal(generator: torch.Generator) -> Tensor:
    return torch.randn(SHAPE, generator=generator)


def true_sd(decoded: Tensor) -> Tensor:
    """Nothing where it is dark, much where it is light."""
    return torch.where(decoded < 0.5, 0.02, 0.2)


@pytest.mark.parametrize("posterior_sd", [0.0, 0.05])
def test_the_variance_of_the_noise_is_found(posterior_sd: float) -> None:
    """Whatever the width of the posterior: its share is in the draws already. Bins at a step of the law are mixed."""
    generator = torch.Generator().manual_seed(0)
    centre = torch.rand(SHAPE, generator=generator)
    truth_decoded, *draws = (centre + posterior_sd * normal(generator) for _ in range(3))
    truth = truth_decoded + true_sd(truth_decoded) * normal(generator)
    hidden = torch.rand(SHAPE, generator=generator) < 0.5
    truth = torch.where(hidden, truth, float("nan"))
    sd = residual_variance(truth, hidden, (draws[0], draws[1])).sqrt()
    far = (torch.arange(NUM_BINS) - (NUM_BINS - 1) / 2).abs() > 4
    expected = true_sd((torch.arange(NUM_BINS) + 0.5) / NUM_BINS)
    dark, light = far & (expected < 0.1), far & (expected > 0.1)
    assert (sd[dark] - 0.02).abs().max() < 0.012
    assert (sd[light] - 0.2).abs().max() < 0.02


def test_a_bin_with_few_values_takes_the_variance_of_all() -> None:
    """And values beyond [0, 1] belong to the first and the last."""
    decoded = torch.full((1, 1, 16, 16), 0.51)
    decoded[..., 0, : LEAST_COUNT // 4] = 7.0
    truth = decoded + 0.3
    variance = residual_variance(truth, torch.ones_like(decoded, dtype=torch.bool), (decoded, decoded))
    torch.testing.assert_close(variance, torch.full((NUM_BINS,), 0.09))
    table = torch.arange(NUM_BINS).float()
    sd = residual_sd(table, torch.tensor([[-3.0, 0.0, 0.049, 0.051, 1.0, 9.0]]))
    torch.testing.assert_close(sd.square(), torch.tensor([[0.0, 0.0, 0.0, 1.0, 19.0, 19.0]]))


def test_draws_that_differ_more_than_they_err_leave_nothing() -> None:
    """A variance is never negative."""
    zero = torch.zeros(SHAPE)
    variance = residual_variance(zero, zero == 0, (zero + 0.1, zero - 0.1))
    assert torch.equal(variance, torch.zeros(NUM_BINS))
