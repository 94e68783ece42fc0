"""What the outputs of a network mean that predicts a value and how far it may be off."""

import torch.nn.functional as F
from torch import Tensor


def mean_and_sd(outputs: Tensor, min_sd: float) -> tuple[Tensor, Tensor]:
    """Outputs (B, 2 C, H, W) to mean and sd (B, C, H, W), the sd above `min_sd`: a likelihood has to have a bound."""
    mean, raw = outputs.chunk(2, dim=1)
    return mean, F.softplus(raw) + min_sd
