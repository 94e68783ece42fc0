"""The fill of missing pixels, by name (apart from the mechanisms: adding one of those retrains nothing)."""

import torch
from torch import Tensor

FILL_VALUES = {"black": 0.0, "grey": 0.5}
"""What a network sees where a pixel is missing, scaled (the paper says zero; docs/fidelity.md, A1)."""

FILLS = [*FILL_VALUES, "mean"]
"""All fills: a constant, or the mean of each pixel over the training images in which it is observed."""


def fill_image(fill: str, x: Tensor, observed: Tensor) -> Tensor:
    """What stands at missing pixels: float32 (1, 1, 1), or (C, H, W) for "mean", scaled.

    Args:
        fill: one of `FILLS`.
        x: training images, scaled, float (N, C, H, W); values at missing pixels are never used.
        observed: bool (N, C, H, W). A value never observed is filled with the mean of all.
    """
    if fill == "mean":
        sums, counts = x.where(observed, 0.0).double().sum(0), observed.sum(0)
        return torch.where(counts > 0, sums / counts.clamp(min=1), sums.sum() / counts.sum().clamp(min=1)).float()
    return x.new_full((1, 1, 1), FILL_VALUES[fill])
