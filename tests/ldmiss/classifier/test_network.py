"""The evaluation classifier (paper A.1.3): sizes, layers, and the hash of its weights."""

import pytest
import torch
import torch.nn.functional as F

from ldmiss.classifier.network import Classifier, weights_sha256
from ldmiss.networks.layers import build, init_torch_default


def test_number_of_parameters() -> None:
    """Conv 1-32, conv 32-64, 64 x 12 x 12 -> 64 -> 10: counted by hand."""
    with torch.device("meta"):
        network = Classifier(shape=(1, 28, 28), num_classes=10)
    expected = (9 * 32 + 32) + (9 * 32 * 64 + 64) + (64 * 144 * 64 + 64) + (64 * 10 + 10)
    assert sum(p.numel() for p in network.parameters()) == expected


@pytest.mark.parametrize("shape", [(1, 28, 28), (1, 6, 6), (1, 8, 11), (3, 33, 20)], ids=str)
@pytest.mark.parametrize("num_classes", [10, 2])
def test_features_and_logits(shape: tuple[int, int, int], num_classes: int) -> None:
    """64 non-negative features (post-ReLU), from which the logits are the last layer's; any shape."""
    network = build(
        lambda: Classifier(shape=shape, num_classes=num_classes), "cpu", init_torch_default, torch.Generator()
    )
    x = torch.rand(3, *shape, generator=torch.Generator().manual_seed(0))
    features, logits = network(x)
    assert features.shape == (3, 64)
    assert logits.shape == (3, num_classes)
    assert features.min() >= 0
    assert features.max() > 0
    torch.testing.assert_close(network.fc2(features), logits)
    torch.testing.assert_close(F.relu(network.pre_relu(x)), features)
    assert network.pre_relu(x).min() < 0
    pooled = F.max_pool2d(F.relu(network.conv2(F.relu(network.conv1(x)))), 2)
    torch.testing.assert_close(network.fc1(pooled.flatten(1)), network.pre_relu(x))


def test_sha256_follows_the_weights_only() -> None:
    """Not their order in a file, but every one of them."""
    a, b = torch.arange(3.0), torch.ones(2)
    assert weights_sha256({"a": a, "b": b}) == weights_sha256({"b": b, "a": a})
    assert weights_sha256({"a": a, "b": b}) != weights_sha256({"a": a, "b": b + 1e-6})
