"""Denoising score matching and its mean over observed values (paper Eq. 1-3)."""

import pytest
import torch
from support.exact import gaussian

from ldmiss.core.shapes import append_dims
from ldmiss.diffusion.losses import (
    OBSERVED_MEANS,
    loss_weight,
    mean_over_observed,
    mean_over_observed_batch,
    sample_times,
    score_matching_loss,
)
from ldmiss.diffusion.parameterization import score_from_eps
from ldmiss.diffusion.sde import VPSDE

SDE = VPSDE()


def test_times_are_uniform_from_tau() -> None:
    """t ~ U(tau, 1): inside the range, and with its mean and variance (200,000 draws: 5 standard errors)."""
    t = sample_times(200_000, 0.2, torch.Generator().manual_seed(0))
    assert t.min() >= 0.2
    assert t.max() < 1.0
    assert t.mean() == pytest.approx(0.6, abs=5 * 0.231 / 447)
    assert t.var() == pytest.approx(0.8**2 / 12, rel=0.01)


def test_loss_is_the_weighted_score_matching_loss() -> None:
    """Each element equals sigma_t^2 (s + eps / sigma_t)^2, the loss of Eq. 2 with lambda_t = sigma_t^2."""
    generator = torch.Generator().manual_seed(0)
    x_0, eps = torch.randn(2, 5, 1, 3, 3, dtype=torch.float64, generator=generator)
    t = torch.linspace(0.01, 1, 5, dtype=torch.float64)
    loss = score_matching_loss(lambda x_t, times: x_t * append_dims(times, x_t), SDE, x_0, t, eps)
    sigma = append_dims(SDE.marginal_prob(t)[1], x_0)
    x_t = SDE.perturb(x_0, t, eps)
    score = score_from_eps(x_t * append_dims(t, x_t), SDE.marginal_prob(t)[1])
    torch.testing.assert_close(loss, sigma**2 * (score + eps / sigma) ** 2)


def test_the_exact_score_minimises_the_loss() -> None:
    """On Gaussian data any bending of the exact eps raises the mean loss (same 20,000 draws for all)."""
    generator = torch.Generator().manual_seed(0)
    x_0, eps = torch.randn(2, 20_000, 2, dtype=torch.float64, generator=generator)
    t = sample_times(len(x_0), 1e-3, generator).double()
    exact = gaussian([0, 0], [[1, 0], [0, 1]]).eps_fn(SDE)

    def mean_loss(factor: float) -> float:
        return float(score_matching_loss(lambda x_t, times: factor * exact(x_t, times), SDE, x_0, t, eps).mean())

    assert mean_loss(1.0) < min(mean_loss(0.95), mean_loss(1.05))


def test_mean_over_observed_by_hand() -> None:
    """Row by row: the sum over observed elements divided by their number."""
    loss = torch.tensor([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0], [1.0, 1.0, 1.0, 1.0]])
    observed = torch.tensor([[1, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]).bool()
    assert mean_over_observed(loss, observed).tolist() == [2.0, 8.0, 0.0]  # nothing observed: 0, not NaN
    assert mean_over_observed(loss, torch.ones_like(observed)).tolist() == loss.mean(1).tolist()


@pytest.mark.parametrize("garbage", [float("nan"), float("inf"), 1e30])
def test_missing_values_neither_enter_nor_get_a_gradient(garbage: float) -> None:
    """Whatever stands at missing positions, value and gradient are those of the observed elements alone."""
    observed = torch.tensor([[True, False], [True, True]])
    loss = torch.tensor([[1.0, garbage], [2.0, 4.0]], requires_grad=True)
    reduced = mean_over_observed(loss, observed)
    reduced.sum().backward()
    assert reduced.tolist() == [1.0, 3.0]
    assert loss.grad is not None
    assert loss.grad.tolist() == [[1.0, 0.0], [0.5, 0.5]]


def test_batch_normalizer_by_hand() -> None:
    """One division by the number observed in the batch: images with more observed pixels weigh more."""
    loss = torch.tensor([[1.0, 3.0], [9.0, float("nan")]])
    observed = torch.tensor([[True, True], [True, False]])
    assert mean_over_observed_batch(loss, observed).item() == pytest.approx(13 / 3)
    assert mean_over_observed(loss, observed).mean().item() == pytest.approx((2 + 9) / 2)
    assert mean_over_observed_batch(loss, torch.zeros_like(observed)).item() == 0
    everything = torch.ones_like(observed)
    whole = torch.tensor([[1.0, 3.0], [9.0, 2.0]])
    assert {reduce(whole, everything).mean().item() for reduce in OBSERVED_MEANS.values()} == {3.75}


def test_loss_weights() -> None:
    """lambda_t relative to sigma_t^2: 1 for the simple loss, beta / sigma^2 for the likelihood's."""
    sde, t = VPSDE(), torch.tensor([1e-3, 0.3, 1.0], dtype=torch.float64)
    assert loss_weight(sde, t, "simple").tolist() == [1, 1, 1]
    _, sigma = sde.marginal_prob(t)
    torch.testing.assert_close(loss_weight(sde, t, "likelihood") * sigma**2, 0.1 + 19.9 * t)
    with pytest.raises(ValueError, match="unknown loss weighting 'snr'; allowed: simple, likelihood"):
        loss_weight(sde, t, "snr")
