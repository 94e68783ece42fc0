"""What the evaluation classifier minimises on a batch (paper A.1.3)."""

from collections.abc import Callable

import torch
from torch import Tensor

from ldmiss.core.pixels import unit_from_uint8
from ldmiss.training.loop import BatchLoss


def classifier_loss(
    forward: Callable[[Tensor, torch.Generator], tuple[Tensor, Tensor]], images: Tensor, labels: Tensor
) -> BatchLoss:
    """Cross entropy of uint8 images (N, C, H, W) and int64 labels (N,); the step's generator draws the dropout."""

    def loss(batch: Tensor, generator: torch.Generator) -> Tensor:
        _, logits = forward(unit_from_uint8(images[batch]), generator)
        return torch.nn.functional.cross_entropy(logits, labels[batch])

    return loss
