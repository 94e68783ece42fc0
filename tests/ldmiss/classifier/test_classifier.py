"""The evaluation classifier (paper A.1.3), its facts, and the committed one."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support import tiny

from ldmiss.classifier.features import extract_features, extract_layers, unit_images
from ldmiss.classifier.frechet import fid, fid_statistics
from ldmiss.classifier.network import Classifier, weights_sha256
from ldmiss.errors import InputError
from ldmiss.files.tensors import load_tensors, save_tensors
from ldmiss.networks.layers import build, init_torch_default
from ldmiss_pipeline.artifacts.json_files import load_checked_json

WEIGHTS = Path("assets/own.safetensors")


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
    x = torch.rand(3, 1, size, size, generator=torch.Generator().manual_seed(0))
    features, logits = network(x)
    assert features.shape == (3, 64)
    assert logits.shape == (3, 10)
    assert features.min() >= 0
    assert features.max() > 0
    torch.testing.assert_close(network.fc2(features), logits)
    torch.testing.assert_close(F.relu(network.pre_relu(x)), features)
    assert network.pre_relu(x).min() < 0
    pooled = F.max_pool2d(F.relu(network.conv2(F.relu(network.conv1(x)))), 2)
    torch.testing.assert_close(network.fc1(pooled.flatten(1)), network.pre_relu(x))


def test_extracted_layers_are_those_of_the_network() -> None:
    """In batches, clipped to [0, 1], and by name."""
    network = build(lambda: Classifier(size=8), "cpu", init_torch_default, torch.Generator())
    x = 3 * torch.rand(1100, 1, 8, 8, generator=torch.Generator().manual_seed(0)) - 1
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


def test_sha256_follows_the_weights_only() -> None:
    """Not their order in a file, but every one of them."""
    a, b = torch.arange(3.0), torch.ones(2)
    assert weights_sha256({"a": a, "b": b}) == weights_sha256({"b": b, "a": a})
    assert weights_sha256({"a": a, "b": b}) != weights_sha256({"a": a, "b": b + 1e-6})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose classifier has been trained."""
    folder = tiny.make_project(tmp_path_factory.mktemp("classifier") / "project", tiny.digits())
    tiny.run(folder, lambda stage: stage == "train_classifier")
    return folder


@pytest.fixture
def committed(trained: Path, tmp_path: Path) -> Path:
    """A project that names the trained file as its committed classifier."""
    folder = tiny.make_project(tmp_path / "project", tiny.digits(), classifier={"weights": str(WEIGHTS)})
    shutil.copy(trained / "models/classifier.safetensors", folder / WEIGHTS)
    return folder


def facts_of(folder: Path) -> dict[str, Any]:
    return load_checked_json(folder / "models/classifier.json")


def rewrite(path: Path, **facts: Any) -> None:
    """The same weights with other facts in the header."""
    tensors, header = load_tensors(path, kind="classifier")
    kept = {name: value for name, value in header.items() if name not in ("kind", "format")}
    changed = {name: value for name, value in {**kept, **facts}.items() if value is not None}
    save_tensors(path, tensors, kind="classifier", facts=changed)


def test_facts_of_a_trained_classifier(trained: Path) -> None:
    """In the JSON and in the file's header, and true: the hash is that of the weights, the floors those of the data."""
    facts = facts_of(trained)
    tensors, header = load_tensors(trained / "models/classifier.safetensors", kind="classifier")
    assert facts.pop("source") == "trained"
    assert header == {"kind": "classifier", "format": 2, "digest": header["digest"], "size": 28, **facts}
    assert facts["sha256"] == weights_sha256(tensors)
    assert facts["dataset"] == "mnist5k"
    network = Classifier()
    network.load_state_dict(tensors)
    raw = tiny.digits()
    test = extract_layers(network, unit_images(raw["test"]["images"]))
    real = extract_layers(network, unit_images(raw["train"]["images"][:24]))
    for layer, floor in facts["fid_floors"].items():
        expected = fid(fid_statistics(real[layer]), fid_statistics(test[layer]))
        assert floor == pytest.approx(expected, rel=1e-4)
    assert len(facts["fid_floors"]) == 3
    assert facts["accuracy"] == np.mean(test["logits"].argmax(1).numpy() == raw["test"]["labels"])


def test_a_committed_classifier_is_used_as_it_is(trained: Path, committed: Path) -> None:
    """Nothing is trained: the same bytes, the same facts but for where they come from, and an empty loss curve."""
    tiny.run(committed, lambda stage: stage == "train_classifier")
    files = [folder / "models/classifier.safetensors" for folder in (trained, committed)]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert facts_of(committed) == {**facts_of(trained), "source": "committed"}
    assert (committed / "metrics/curves/classifier.csv").read_text() == "epoch,loss\n"
    assert len((trained / "metrics/curves/classifier.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"dataset": "mnist"}, "was trained on 'mnist', this run's dataset is 'mnist5k'"),
        ({"sha256": "0" * 64}, "but says 000000000000"),
        ({"accuracy": 1.5}, "says its accuracy is 1.5000, on the test images it is"),
        ({"fid_floors": None}, "does not say its fid_floors"),
    ],
    ids=["dataset", "hash", "accuracy", "no facts"],
)
def test_a_committed_classifier_that_is_not_what_it_says(committed: Path, facts: Any, message: str) -> None:
    """Refused in one line that names the file, and nothing is written."""
    rewrite(committed / WEIGHTS, **facts)
    with pytest.raises(InputError, match=message) as error:
        tiny.run(committed, lambda stage: stage == "train_classifier")
    assert str(WEIGHTS) in str(error.value)
    assert "\n" not in str(error.value)
    assert not (committed / "models/classifier.json").exists()


def test_a_committed_classifier_that_is_not_there(committed: Path) -> None:
    """The file is named."""
    (committed / WEIGHTS).unlink()
    with pytest.raises(InputError, match=str(WEIGHTS)):
        tiny.run(committed, lambda stage: stage == "train_classifier")


def test_altered_weights_are_refused(committed: Path) -> None:
    """One weight changed: the hash in the header is no longer theirs."""
    tensors, header = load_tensors(committed / WEIGHTS, kind="classifier")
    tensors["fc2.bias"][0] += 1e-3
    kept = {name: value for name, value in header.items() if name not in ("kind", "format")}
    save_tensors(committed / WEIGHTS, tensors, kind="classifier", facts=kept)
    with pytest.raises(InputError, match="holds weights"):
        tiny.run(committed, lambda stage: stage == "train_classifier")
