"""The diagonal Gaussian posterior."""

import torch
from torch.distributions import Normal, kl_divergence

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
