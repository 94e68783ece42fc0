"""The evaluation classifier (paper A.1.3): the yardstick of FID, IS and accuracy."""

import torch.nn.functional as F
from torch import Tensor, nn


class Classifier(nn.Module):
    """Two 3x3 convolutions (32 and 64 channels, no padding), max pooling, two fully connected layers.

    Args:
        num_classes: of the logits.
        size: height and width of the images.
        num_features: hidden units of the first fully connected layer (64 in the paper).
    """

    def __init__(self, *, num_classes: int = 10, size: int = 28, num_features: int = 64) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.fc1 = nn.Linear(64 * ((size - 4) // 2) ** 2, num_features)
        self.fc2 = nn.Linear(num_features, num_classes)

    def pre_relu(self, x: Tensor) -> Tensor:
        """Images (B, 1, H, W) in [0, 1] to the hidden units before their ReLU, (B, 64)."""
        h: Tensor = self.fc1(F.max_pool2d(F.relu(self.conv2(F.relu(self.conv1(x)))), 2).flatten(1))
        return h

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, 1, H, W) in [0, 1] to (features (B, 64), post-ReLU; logits (B, 10))."""
        features = F.relu(self.pre_relu(x))
        return features, self.fc2(features)
