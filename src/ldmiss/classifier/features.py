"""Features of images under the classifier, for every distance that is taken of them."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ldmiss.classifier.network import Classifier

_BATCH_SIZE = 100
"""More is slower on a CPU: memory for larger activations comes afresh from the system for every layer."""


LAYERS = ("penultimate", "pre_relu", "logits")
"""The layers that a distance may be taken of."""


@torch.no_grad()
def extract_layers(classifier: Classifier, images: Tensor) -> dict[str, Tensor]:
    """Every layer that a distance may be taken of, float32 on the CPU, for images (N, C, H, W) in [0, 1] (clipped).

    penultimate: 64 hidden units after their ReLU (N, 64), the usual choice; pre_relu: the same before it (N, 64);
    logits: (N, num_classes).
    """
    device = next(classifier.parameters()).device
    parts = []
    for batch in torch.split(images, _BATCH_SIZE):
        hidden = classifier.pre_relu(batch.to(device).float().clamp(0, 1))
        penultimate = F.relu(hidden)
        parts.append((penultimate, hidden, classifier.fc2(penultimate)))
    columns = (torch.cat(column).cpu() for column in zip(*parts, strict=True))
    return dict(zip(LAYERS, columns, strict=True))


def extract_features(classifier: Classifier, images: Tensor, layer: str) -> tuple[Tensor, Tensor]:
    """Features of a layer of `extract_layers` (N, F) and logits (N, num_classes) of images (N, C, H, W)."""
    layers = extract_layers(classifier, images)
    return layers[layer], layers["logits"]
