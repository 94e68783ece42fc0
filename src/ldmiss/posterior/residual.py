"""What a decoder leaves out of an image: noise whose variance depends on the value that the decoder gives.

A latent is a summary, and a pixel is more than its decoding. Draws that leave this out are too sure. On MNIST a pixel
decoded as black is black, and one decoded as grey may be anything, so that a constant would not do.
"""

import torch
from torch import Tensor

NUM_BINS = 20
"""Of decoded values, equally wide over [0, 1]; values beyond belong to the first and the last."""
LEAST_COUNT = 50
"""Hidden values that a bin needs; with fewer it has the variance of all."""


def residual_variance(truth: Tensor, hidden: Tensor, draws: tuple[Tensor, Tensor]) -> Tensor:
    """The variance of truth about its decoding, per bin of decoded values: float32 (NUM_BINS,), at least 0.

    With x = D(z) + noise, and two draws z_1, z_2 of the posterior, independent of each other and of z,

        E (x - D(z_1))^2 = Var(noise) + E (D(z_2) - D(z_1))^2,

    so the difference of the two, which are both seen, is what the draws lack.

    Args:
        truth: scaled images (N, C, H, W), known where `hidden`.
        hidden: bool (N, C, H, W), values that the draws did not see.
        draws: decoded draws (N, C, H, W) of the posterior given the other known values.
    """
    first, second = draws
    spread = (first - second).square()
    excess = torch.cat([((truth - draw).square() - spread)[hidden] for draw in draws]).double()
    bins = torch.cat([_bin(draw)[hidden] for draw in draws])
    counts = torch.bincount(bins, minlength=NUM_BINS)
    sums = torch.zeros(NUM_BINS, dtype=torch.float64, device=excess.device).index_add_(0, bins, excess)
    per_bin = torch.where(counts >= LEAST_COUNT, sums / counts.clamp(min=1), excess.sum() / len(excess))
    return per_bin.clamp(min=0).float()


def residual_sd(variance: Tensor, decoded: Tensor) -> Tensor:
    """The standard deviation about each decoded value, scaled (B, C, H, W), by `residual_variance`; (B, C, H, W)."""
    return variance[_bin(decoded)].sqrt()


def _bin(decoded: Tensor) -> Tensor:
    return (decoded.clamp(0, 1) * NUM_BINS).long().clamp(max=NUM_BINS - 1)
