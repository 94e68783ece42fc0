"""The evaluation classifier (paper A.1.3): what FID, IS and accuracy are measured with."""

import hashlib
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ldmiss.networks.layers import channels_last_on_cpu, drop

NUM_CLASSES = 10
"""Of MNIST."""
MIN_SIZE = 6
"""Least height and width of images: two convolutions and the pooling leave one position."""


class Classifier(nn.Module):
    """Two 3x3 convolutions (32 and 64 channels, no padding), max pooling, two fully connected layers.

    Args:
        shape: (C, H, W) of the images, H and W at least 6.
        num_classes: of the logits.
        num_features: hidden units of the first fully connected layer (64 in the paper).
        dropout: before each fully connected layer, active only where a generator is passed. The paper does not say;
            without it the classifier knows its training images by heart, and the FID of real training images against
            real test images is more than twice as high.
    """

    def __init__(self, *, shape: Sequence[int], num_classes: int, num_features: int = 64, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = dropout
        channels, height, width = shape
        self.conv1 = nn.Conv2d(channels, 32, 3)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.fc1 = nn.Linear(64 * ((height - 4) // 2) * ((width - 4) // 2), num_features)
        self.fc2 = nn.Linear(num_features, num_classes)

    def pre_relu(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Images (B, C, H, W) in [0, 1] to the hidden units before their ReLU, (B, 64)."""
        h = F.relu(channels_last_on_cpu(self.conv1(x)))
        h = F.max_pool2d(F.relu(self.conv2(h)), 2).flatten(1)
        hidden: Tensor = self.fc1(drop(h, self.dropout, generator))
        return hidden

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Images (B, C, H, W) in [0, 1] to (features (B, 64), post-ReLU; logits (B, num_classes))."""
        features = F.relu(self.pre_relu(x, generator))
        return features, self.fc2(drop(features, self.dropout, generator))


def weights_sha256(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 of the weights' bytes in the order of their names: the same however a file lays them out."""
    return hashlib.sha256(b"".join(weights[key].cpu().numpy().tobytes() for key in sorted(weights))).hexdigest()
