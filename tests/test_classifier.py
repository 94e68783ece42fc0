"""The evaluation classifier (paper A.1.3)."""

import pytest
import torch

from ldmiss.networks.classifier import Classifier
from ldmiss.networks.layers import build, init_torch_default


def test_number_of_parameters() -> None:
    """Conv 1-32, conv 32-64, 64 x 12 x 12 -> 64 -> 10: counted by hand."""
    with torch.device("meta"):
        network = Classifier()
    expected = (9 * 32 + 32) + (9 * 32 * 64 + 64) + (64 * 144 * 64 + 64) + (64 * 10 + 10)
    assert sum(p.numel() for p in network.parameters()) == expected


@pytest.mark.parametrize("size", [28, 8])
def test_features_and_logits(size: int) -> None:
    """64 non-negative features (post-ReLU), from which the logits are the last layer's."""
    network = build(lambda: Classifier(size=size), "cpu", init_torch_default, torch.Generator())
    features, logits = network(torch.rand(3, 1, size, size, generator=torch.Generator().manual_seed(0)))
    assert features.shape == (3, 64)
    assert logits.shape == (3, 10)
    assert features.min() >= 0
    assert features.max() > 0
    torch.testing.assert_close(network.fc2(features), logits)
