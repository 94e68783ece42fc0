"""The diagonal Gaussian posterior and the masked ELBO."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from ldmiss.autoencoding.elbo import masked_negative_elbo, masked_reconstruction
from ldmiss.autoencoding.posterior import DiagonalGaussian

MEAN, LOG_VAR = torch.randn(2, 4, 2, 7, 7, generator=torch.Generator().manual_seed(0))


def test_kl_against_torch() -> None:
    """KL(q || N(0, I)) in nats per row, as torch.distributions computes it; 0 for the prior itself."""
    reference = kl_divergence(Normal(MEAN, (0.5 * LOG_VAR).exp()), Normal(0.0, 1.0)).flatten(1).sum(1)
    torch.testing.assert_close(DiagonalGaussian(MEAN, LOG_VAR).kl(), reference)
    assert DiagonalGaussian(torch.zeros(2, 3), torch.zeros(2, 3)).kl().tolist() == [0.0, 0.0]


def test_sample_is_reparameterised() -> None:
    """mean + std eps: eps = 0 is the mean, eps = 1 one standard deviation away."""
    posterior = DiagonalGaussian(MEAN, LOG_VAR)
    assert torch.equal(posterior.sample(torch.zeros_like(MEAN)), MEAN)
    torch.testing.assert_close(posterior.sample(torch.ones_like(MEAN)), MEAN + LOG_VAR.exp().sqrt())


def test_log_variance_is_clamped() -> None:
    """To [-30, 20], so that neither sample nor KL overflows."""
    posterior = DiagonalGaussian(torch.zeros(1, 2), torch.tensor([[-1e9, 1e9]]))
    assert posterior.log_var.tolist() == [[-30.0, 20.0]]
    assert posterior.kl().isfinite().all()


def test_reconstruction_counts_observed_pixels_only() -> None:
    """A sum over observed pixels per row; what is missing has neither value nor gradient."""
    x = torch.tensor([[[[1.0, 2.0, 3.0]]], [[[1.0, 1.0, 1.0]]]])
    x_hat = torch.tensor([[[[0.0, 9.0, 1.0]]], [[[5.0, 5.0, 5.0]]]], requires_grad=True)
    observed = torch.tensor([[[[True, False, True]]], [[[False, False, False]]]])
    error = masked_reconstruction(x, x_hat, observed)
    error.sum().backward()
    assert error.tolist() == [5.0, 0.0]
    assert x_hat.grad is not None
    assert x_hat.grad.flatten().tolist() == [-2.0, 0.0, -4.0, 0.0, 0.0, 0.0]
    filled_otherwise = torch.where(observed, x, 1e20)
    assert torch.equal(masked_reconstruction(filled_otherwise, x_hat, observed), error)


@pytest.mark.parametrize("kl_weight", [0.0, 0.5])
def test_negative_elbo(kl_weight: float) -> None:
    """Mean over rows of the summed error plus kl_weight times the KL in nats."""
    x, x_hat = torch.zeros(2, 1, 1, 2), torch.tensor([[[[1.0, 2.0]]], [[[3.0, 4.0]]]])
    observed, kl = torch.ones(2, 1, 1, 2).bool(), torch.tensor([10.0, 20.0])
    expected = ((1 + 4 + kl_weight * 10) + (9 + 16 + kl_weight * 20)) / 2
    assert float(masked_negative_elbo(x, x_hat, observed, kl, kl_weight=kl_weight)) == pytest.approx(expected)
