"""The classifier's metadata, and a committed classifier in its place."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import tiny

from ldmiss.classifier.features import extract_layers, unit_images
from ldmiss.classifier.frechet import fid, fid_statistics
from ldmiss.classifier.network import Classifier, weights_sha256
from ldmiss.errors import InputError
from ldmiss.files.tensors import load_tensors, save_tensors
from ldmiss_pipeline.artifacts.json_files import load_checked_json

WEIGHTS = Path("assets/own.safetensors")


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


def rewrite(path: Path, **metadata: Any) -> None:
    """The same weights with other metadata in the header."""
    tensors, header = load_tensors(path, kind="classifier")
    kept = {name: value for name, value in header.items() if name not in ("kind", "format")}
    changed = {name: value for name, value in {**kept, **metadata}.items() if value is not None}
    save_tensors(path, tensors, kind="classifier", metadata=changed)


def test_facts_of_a_trained_classifier(trained: Path) -> None:
    """In the JSON and in the file's header, and true: the hash is that of the weights, the floors those of the data."""
    metadata = facts_of(trained)
    tensors, header = load_tensors(trained / "models/classifier.safetensors", kind="classifier")
    assert metadata.pop("source") == "trained"
    assert header == {"kind": "classifier", "format": 2, "digest": header["digest"], "size": 28, **metadata}
    assert metadata["sha256"] == weights_sha256(tensors)
    assert metadata["dataset"] == "mnist5k"
    network = Classifier()
    network.load_state_dict(tensors)
    raw = tiny.digits()
    test = extract_layers(network, unit_images(raw["test"]["images"]))
    real = extract_layers(network, unit_images(raw["train"]["images"][:24]))
    for layer, floor in metadata["fid_floors"].items():
        expected = fid(fid_statistics(real[layer]), fid_statistics(test[layer]))
        assert floor == pytest.approx(expected, rel=1e-4)
    assert len(metadata["fid_floors"]) == 3
    assert metadata["accuracy"] == np.mean(test["logits"].argmax(1).numpy() == raw["test"]["labels"])


def test_a_committed_classifier_is_used_as_it_is(trained: Path, committed: Path) -> None:
    """Nothing is trained: the same bytes, the same metadata but for where they come from, and an empty loss curve."""
    tiny.run(committed, lambda stage: stage == "train_classifier")
    files = [folder / "models/classifier.safetensors" for folder in (trained, committed)]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert facts_of(committed) == {**facts_of(trained), "source": "committed"}
    assert (committed / "metrics/curves/classifier.csv").read_text() == "epoch,loss\n"
    assert len((trained / "metrics/curves/classifier.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"dataset": "mnist"}, "was trained on 'mnist', this run's dataset is 'mnist5k'"),
        ({"sha256": "0" * 64}, "but says 000000000000"),
        ({"accuracy": 1.5}, "says its accuracy is 1.5000, on the test images it is"),
        ({"fid_floors": None}, "does not say its fid_floors"),
    ],
    ids=["dataset", "hash", "accuracy", "no facts"],
)
def test_a_committed_classifier_that_is_not_what_it_says(committed: Path, metadata: Any, message: str) -> None:
    """Refused in one line that names the file, and nothing is written."""
    rewrite(committed / WEIGHTS, **metadata)
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
    save_tensors(committed / WEIGHTS, tensors, kind="classifier", metadata=kept)
    with pytest.raises(InputError, match="holds weights"):
        tiny.run(committed, lambda stage: stage == "train_classifier")
