"""The layers of the classifier that metrics are taken of."""

import pytest
import torch

from ldmiss.classifier.features import extract_features, extract_layers
from ldmiss.classifier.network import Classifier
from ldmiss.networks.layers import build, init_torch_default


def test_extracted_layers_are_those_of_the_network() -> None:
    """In batches, clipped to [0, 1], and by name."""
    network = build(lambda: Classifier(shape=(3, 8, 11), num_classes=7), "cpu", init_torch_default, torch.Generator())
    x = 3 * torch.rand(1100, 3, 8, 11, generator=torch.Generator().manual_seed(0)) - 1
    layers = extract_layers(network, x)
    features, logits = network(x.clamp(0, 1))
    torch.testing.assert_close(layers["penultimate"], features)
    torch.testing.assert_close(layers["logits"], logits)
    torch.testing.assert_close(layers["pre_relu"], network.pre_relu(x.clamp(0, 1)))
    for layer, expected in layers.items():
        found, found_logits = extract_features(network, x, layer)
        assert torch.equal(found, expected)
        assert torch.equal(found_logits, layers["logits"])
    with pytest.raises(KeyError):
        extract_features(network, x, "conv1")
