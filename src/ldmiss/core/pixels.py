"""Pixel conventions: uint8 on disk, [0, 1] for metrics, a named range for networks; and the fill of missing pixels."""

import torch
from torch import Tensor

RANGES = {"symmetric": (-1.0, 1.0), "unit": (0.0, 1.0)}
"""The range of the pixels that networks see, by name (the paper does not say; docs/fidelity.md, A2)."""


def unit_from_uint8(images: Tensor) -> Tensor:
    """uint8 in {0..255} to float32 in [0, 1]."""
    return images.float() / 255


def network_from_unit(x: Tensor, value_range: str) -> Tensor:
    """[0, 1] to the networks' range, one of `RANGES`."""
    low, high = RANGES[value_range]
    return x * (high - low) + low


def unit_from_network(x: Tensor, value_range: str) -> Tensor:
    """The networks' range to [0, 1]; not clipped, so that gradients pass."""
    low, high = RANGES[value_range]
    return (x - low) / (high - low)


def fill_missing(x: Tensor, observed: Tensor, fill: Tensor) -> Tensor:
    """Put `fill` (of `ldmiss.core.fill`, broadcastable) where nothing was observed; x and observed (B, ...)."""
    return torch.where(observed, x, fill)
