"""Pixel conventions: uint8 on disk, [0, 1] for metrics, [-1, 1] for networks; and the fill of missing pixels."""

import torch
from torch import Tensor


def unit_from_uint8(images: Tensor) -> Tensor:
    """uint8 in {0..255} to float32 in [0, 1]."""
    return images.float() / 255


def network_from_unit(x: Tensor) -> Tensor:
    """[0, 1] to the networks' [-1, 1]."""
    return 2 * x - 1


def unit_from_network(x: Tensor) -> Tensor:
    """The networks' [-1, 1] to [0, 1]; not clipped, so that gradients pass."""
    return (x + 1) / 2


def fill_missing(x: Tensor, observed: Tensor, value: float) -> Tensor:
    """Put `value` where nothing was observed; x float (B, ...), observed bool (B, ...)."""
    return torch.where(observed, x, value)
