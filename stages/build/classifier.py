"""The evaluation classifier from its file, and its features of a set of images."""

from pathlib import Path

import torch
from torch import Tensor

from ldmiss.networks.classifier import Classifier
from stages.build.network import restore_network, with_prefix
from stages.io import load_tensors

_BATCH_SIZE = 500


def restore_classifier(path: Path, device: torch.device) -> Classifier:
    """The classifier in a file of kind "classifier"."""
    tensors, facts = load_tensors(path, kind="classifier")
    config = {"size": facts["size"]}
    return restore_network(Classifier, config, with_prefix("net", tensors), prefix="net", path=path, device=device)


@torch.no_grad()
def extract_features(classifier: Classifier, images: Tensor) -> tuple[Tensor, Tensor]:
    """Features (N, 64) and logits (N, 10), float32 on the CPU, of images (N, 1, H, W) in [0, 1] (clipped)."""
    device = next(classifier.parameters()).device
    parts = [classifier(batch.to(device).float().clamp(0, 1)) for batch in torch.split(images, _BATCH_SIZE)]
    features, logits = (torch.cat(column).cpu() for column in zip(*parts, strict=True))
    return features, logits
