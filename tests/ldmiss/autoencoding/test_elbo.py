"""The masked ELBO, by hand."""

import pytest
import torch

from ldmiss.autoencoding.elbo import masked_negative_elbo, masked_reconstruction


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
