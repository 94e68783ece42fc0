"""The beta-VAE objective on observed pixels (paper sections 3, 4.1 and A.1.2; Mattei & Frellsen 2019)."""

import torch
from torch import Tensor


def masked_reconstruction(x: Tensor, x_hat: Tensor, observed: Tensor) -> Tensor:
    """Squared error summed over each row's observed pixels: (B, C, H, W) -> (B,). Missing pixels never enter."""
    return torch.where(observed, x_hat - x, 0.0).square().flatten(1).sum(1)


def masked_negative_elbo(x: Tensor, x_hat: Tensor, observed: Tensor, kl: Tensor, *, kl_weight: float) -> Tensor:
    """Reconstruction + kl_weight * KL, mean over rows: both are sums per image, as in Rombach et al. 2022.

    Args:
        x: images in the networks' range, (B, C, H, W); only observed pixels count.
        x_hat: their reconstruction, (B, C, H, W).
        observed: bool (B, C, H, W).
        kl: nats per row, (B,).
        kl_weight: beta_KL, 1e-6 in the paper.
    """
    return (masked_reconstruction(x, x_hat, observed) + kl_weight * kl).mean()
