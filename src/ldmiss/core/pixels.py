"""Scaled values (`ldmiss.core.scaling`; [0, 1] for 8 bits), the range that networks see, and the fill."""

import torch
from torch import Tensor

RANGES = {"symmetric": (-1.0, 1.0), "unit": (0.0, 1.0)}
"""The range of the pixels that networks see, by name (the paper does not say; docs/fidelity.md, A2)."""


def unit_from_uint8(images: Tensor) -> Tensor:
    """uint8 in {0..255} to float32 in [0, 1]."""
    return images.float() / 255


def network_from_scaled(x: Tensor, value_range: str) -> Tensor:
    """Scaled values to the networks' range, one of `RANGES`: where [0, 1] comes to lie."""
    low, high = RANGES[value_range]
    return x * (high - low) + low


def scaled_from_network(x: Tensor, value_range: str) -> Tensor:
    """The networks' range to scaled values; not clipped, so that gradients pass."""
    low, high = RANGES[value_range]
    return (x - low) / (high - low)


def fill_missing(x: Tensor, observed: Tensor, fill: Tensor) -> Tensor:
    """Put `fill` (of `ldmiss.core.fill`, broadcastable) where nothing was observed; x and observed (B, ...)."""
    return torch.where(observed, x, fill)


def show_known(x: Tensor, known: Tensor) -> Tensor:
    """What a network sees of pixels: their values, 0 where not known, and indicators; (B, C, H, W) -> (B, 2 C, H, W).

    Args:
        x: in the networks' range; values that are not known are never used.
        known: bool, of the same shape.
    """
    return torch.cat([torch.where(known, x, 0.0), known.float()], dim=1)
