"""What the outputs of the regression U-Net mean."""

import torch.nn.functional as F
from torch import Tensor

MIN_SD = 2e-3
"""Least predicted sd, a quarter of a grey level in the networks' range: a likelihood has to have a bound."""


def split_outputs(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """The network's outputs (B, 2 C, H, W) to mean and sd (B, C, H, W), in the networks' range."""
    mean, raw = outputs.chunk(2, dim=1)
    return mean, F.softplus(raw) + MIN_SD
