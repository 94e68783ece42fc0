"""The classifier's metadata, a committed classifier in its place, and what there is where images have no labels."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from support import tiny
from support.fits import FITS, NO_CHECKPOINT, Data
from support.imports import ROOT

from ldmiss.classifier.features import extract_layers
from ldmiss.classifier.frechet import fid, fid_statistics
from ldmiss.classifier.network import Classifier, weights_sha256
from ldmiss.core.pixels import unit_from_uint8
from ldmiss.errors import InputError
from ldmiss.files.tensors import load_tensors, save_tensors
from ldmiss.fitting.classifier import describe_classifier
from ldmiss_pipeline.artifacts.json_files import load_checked_json
from ldmiss_pipeline.datasets.dataset import Dataset
from ldmiss_pipeline.datasets.registry import DATASETS, load_split
from ldmiss_pipeline.datasets.splits import load_pictures, save_pictures
from ldmiss_pipeline.models.classifier import load_classifier_metadata, restore_classifier, restore_committed

WEIGHTS = Path("assets/own.safetensors")


def _unit(images: Any) -> torch.Tensor:
    """uint8 images (N, 28, 28) or (N, 1, 28, 28) as floats (N, 1, 28, 28) in [0, 1]."""
    return unit_from_uint8(torch.tensor(images).reshape(len(images), 1, 28, 28))


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
    assert metadata.pop("dataset") == "mnist5k"
    network_of = {"shape": [1, 28, 28], "num_classes": 10}
    file = {"kind": "classifier", "format": 2, "digest": header["digest"], "datasets": ["mnist5k"]}
    assert header == file | network_of | metadata
    assert metadata["sha256"] == weights_sha256(tensors)
    network = Classifier(**network_of)
    network.load_state_dict(tensors)
    raw = tiny.digits()
    test = extract_layers(network, _unit(raw["test"]["images"]))
    real = extract_layers(network, _unit(raw["train"]["images"][:24]))
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
        ({"datasets": ["mnist", "fashion"]}, "is for mnist, fashion, this run's dataset is 'mnist5k'"),
        ({"sha256": "0" * 64}, "but says 000000000000"),
        ({"accuracy": 1.5}, "says its accuracy is 1.5000, on the test images it is"),
        ({"fid_floors": None}, "does not say its fid_floors"),
        ({"shape": None}, "does not say its shape"),
        ({"shape": [3, 28, 28]}, "weights of another architecture"),
    ],
    ids=["dataset", "hash", "accuracy", "no facts", "no shape", "another shape"],
)
def test_a_committed_classifier_that_is_not_what_it_says(committed: Path, metadata: Any, message: str) -> None:
    """Refused in one line that names the file, and nothing is written."""
    rewrite(committed / WEIGHTS, **metadata)
    with pytest.raises(InputError, match=message) as error:
        tiny.run(committed, lambda stage: stage == "train_classifier")
    assert str(WEIGHTS) in str(error.value)
    assert "\n" not in str(error.value)
    assert not (committed / "models/classifier.json").exists()


def test_a_data_set_that_a_committed_classifier_serves_beside_its_own(trained: Path, committed: Path) -> None:
    """Accuracy and floors are measured on this run's images, whatever the file says of its own data set."""
    floors = {"penultimate": 1.0, "pre_relu": 2.0, "logits": 3.0}
    rewrite(committed / WEIGHTS, datasets=["mnist", "mnist5k"], accuracy=0.5, fid_floors=floors)
    tiny.run(committed, lambda stage: stage == "train_classifier")
    assert facts_of(committed) == {**facts_of(trained), "source": "committed"}
    rewrite(committed / WEIGHTS, datasets=["mnist5k", "mnist"])
    with pytest.raises(InputError, match=r"says its accuracy is 0\.5"):
        tiny.run(committed, lambda stage: stage == "train_classifier")


def test_the_images_of_another_data_set_are_left_out(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trained as if they were not there, wherever they stand and under whatever label; measured on all."""
    raw = tiny.digits()
    images, labels = raw["train"]["images"], raw["train"]["labels"]
    others = images[[3, 17, 47, 20]][:, None]
    monkeypatch.setitem(DATASETS, "patches", other_set(others))
    project = tiny.make_project(tmp_path / "without", raw, classifier={"without": "patches"})
    tiny.run(project, lambda stage: stage == "train_classifier")
    found, header = load_tensors(project / "models/classifier.safetensors", kind="classifier")
    assert header["datasets"] == ["mnist5k", "patches"]
    kept = np.delete(np.arange(48), [3, 17, 20, 47])
    fitted = FITS["classifier"](
        Data(torch.from_numpy(images[kept])[:, None] / 255, None, None, torch.from_numpy(labels[kept])), NO_CHECKPOINT
    )
    assert all(torch.equal(value, found[name]) for name, value in fitted.items())
    network = Classifier(shape=(1, 28, 28), num_classes=10)
    network.load_state_dict(found)
    layers = [extract_layers(network, _unit(part)) for part in (images[:24], raw["test"]["images"])]
    expected = fid(*(fid_statistics(part["logits"]) for part in layers))
    assert facts_of(project)["fid_floors"]["logits"] == pytest.approx(expected, rel=1e-4)


def test_images_to_leave_out_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One pixel of one image differs: refused, for the classifier would have seen it."""
    raw = tiny.digits()
    others = raw["train"]["images"][:6][:, None].copy()
    others[2, 0, 5, 5] += 1
    monkeypatch.setitem(DATASETS, "patches", other_set(others))
    project = tiny.make_project(tmp_path / "project", raw, classifier={"without": "patches"})
    with pytest.raises(InputError, match=r"classifier.without: 1 of the 6 images of 'patches' are not among"):
        tiny.run(project, lambda stage: stage == "train_classifier")


def other_set(images: np.ndarray[Any, Any]) -> Dataset:
    """A data set without labels, of these images: all but one to train, the last to test."""

    def download(folder: Path) -> None:
        for split, part in (("train", images[:-1]), ("test", images[-1:])):
            save_pictures(folder, split, part)

    return Dataset(len(images) - 1, 1, (1, 28, 28), None, download=download, load=load_pictures)


def test_without_labels_there_is_no_classifier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No image is read, nothing is trained, and the files say so; who asks for the classifier is refused."""
    project = tiny.make_project(tmp_path / "project", {})
    (project / "data/raw/mnist5k").mkdir(parents=True)
    monkeypatch.setitem(DATASETS, "mnist5k", dataclasses.replace(DATASETS["mnist5k"], num_classes=None))
    tiny.run(project, lambda stage: stage == "train_classifier")
    assert "train_classifier: none: mnist5k has no labels" in capsys.readouterr().out
    assert load_classifier_metadata(project / "models/classifier.json") == {"source": "none"}
    tensors, header = load_tensors(project / "models/classifier.safetensors", kind="classifier")
    assert tensors == {}
    assert header["source"] == "none"
    assert (project / "metrics/curves/classifier.csv").read_text() == "epoch,loss\n"
    with pytest.raises(InputError, match=r"classifier.safetensors: holds no classifier"):
        restore_classifier(project / "models/classifier.safetensors", torch.device("cpu"))


@pytest.mark.parametrize("name", ["mnist", "fashion"])
def test_the_committed_files(name: str) -> None:
    """They are what they say, serve the whole set and its part, and stand with their numbers in docs/classifier.md."""
    path = ROOT / f"assets/classifier-{name}.safetensors"
    for dataset in (name, f"{name}5k"):
        composition = yaml.safe_load((ROOT / f"conf/dataset/{dataset}.yaml").read_text())
        assert composition["classifier"]["weights"] == str(path.relative_to(ROOT))
        _, said = restore_committed(path, torch.device("cpu"), dataset=dataset)
        assert said["datasets"] == [name, f"{name}5k"]
    assert f"`{said['sha256'][:12]}`" in (ROOT / "docs/classifier.md").read_text()
    assert f"{said['accuracy']:.4f}" in (ROOT / "docs/classifier.md").read_text()


@pytest.mark.slow
def test_the_committed_classifier_on_the_embedded_digits(tmp_path: Path) -> None:
    """The numbers of docs/classifier.md for `mnist5k`, which it has not seen."""
    DATASETS["mnist5k"].download(tmp_path / "mnist5k")
    train, test = (load_split("mnist5k", tmp_path, split) for split in ("train", "test"))
    path = ROOT / "assets/classifier-mnist.safetensors"
    classifier, _ = restore_committed(path, torch.device("cpu"), dataset="mnist5k")
    assert test.labels is not None
    found = describe_classifier(
        classifier, torch.from_numpy(train.images), torch.from_numpy(test.images), torch.from_numpy(test.labels)
    )
    assert found["accuracy"] == pytest.approx(0.991, abs=0.0021)
    assert found["fid_floors"]["penultimate"] == pytest.approx(13.7, abs=0.1)


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
