"""The evaluation classifier from and to its file, with what is known of its weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ldmiss.classifier.network import Classifier, weights_sha256
from ldmiss.errors import InputError
from ldmiss.files.tensors import load_tensors, save_tensors
from ldmiss.networks.restore import restore_network
from ldmiss_pipeline.artifacts.json_files import load_checked_json

KIND = "classifier"
NETWORK = ("shape", "num_classes")
"""Arguments of the network, which a file's header says."""
MEASURED = ("accuracy", "fid_floors", "sha256")
"""What `describe_classifier` finds, which a file's header and every metrics file say.

Beside these the header says "datasets", those that the classifier serves: first the one it was trained on and measured
on, then the one whose images were left out of its training, if any was. The metadata of a run say "dataset", that of
the run, and "source": "trained", "committed", or, where the images have no labels, "none" and nothing else.
"""
NO_CLASSIFIER = {"source": "none"}


def restore_classifier(path: Path, device: torch.device, *, sha256: str | None = None) -> Classifier:
    """The classifier in a file of kind "classifier".

    Args:
        path: the file.
        device: where it computes.
        sha256: of the weights that the file has to hold; None takes any.

    Raises:
        InputError: no such file, other weights, or a file that says that there is no classifier.
    """
    weights, header = load_tensors(path, kind=KIND)
    if not weights:
        raise InputError(f"{path}: holds no classifier, for images without labels have none")
    if sha256 is not None and (found := weights_sha256(weights)) != sha256:
        raise InputError(
            f"{path}: holds weights {found[:12]}, but its metadata names {sha256[:12]}; "
            "make both again with `dvc repro --force train_classifier`"
        )
    return _network(path, weights, header, device)


def _network(path: Path, weights: dict[str, Tensor], header: Mapping[str, Any], device: torch.device) -> Classifier:
    config = {name: header[name] for name in NETWORK}
    return restore_network(Classifier, config, weights, device=device, where=path)


def save_classifier(
    path: Path, weights: Mapping[str, Tensor], measured: Mapping[str, Any], *, network: Mapping[str, Any],
    datasets: list[str],
) -> None:  # fmt: skip
    """Write a classifier with its metadata; such a file can be committed.

    Args:
        path: the file.
        weights: of the network.
        measured: `MEASURED`, on the first of the data sets.
        network: arguments of `Classifier`, `NETWORK`.
        datasets: those that it serves.
    """
    save_tensors(path, weights, kind=KIND, metadata={**network, **measured, "datasets": datasets})


def save_no_classifier(path: Path) -> None:
    """Write the file of a data set without labels: no weights."""
    save_tensors(path, {}, kind=KIND, metadata=NO_CLASSIFIER)


def restore_committed(path: Path, device: torch.device, *, dataset: str) -> tuple[Classifier, dict[str, Any]]:
    """A committed classifier and its metadata, once it is clear that they are of these weights and serve the data set.

    Returns:
        The network, and `MEASURED` with "datasets".

    Raises:
        InputError: no such file, no metadata in it, weights that are not those it names, or for other data sets.
    """
    if not path.is_file():
        raise InputError(f"classifier.weights: {path}: missing file; name one that is there, or null to train")
    weights, header = load_tensors(path, kind=KIND)
    if lacking := [name for name in (*NETWORK, *MEASURED, "datasets") if name not in header]:
        raise InputError(f"classifier.weights: {path} does not say its {', '.join(lacking)}; see `make classifier`")
    if dataset not in header["datasets"]:
        raise InputError(
            f"classifier.weights: {path} is for {', '.join(header['datasets'])}, this run's dataset is {dataset!r}; "
            "choose its own weights, or null to train them"
        )
    if (found := weights_sha256(weights)) != header["sha256"]:
        raise InputError(f"classifier.weights: {path} holds weights {found[:12]}, but says {header['sha256'][:12]}")
    return _network(path, weights, header, device), {name: header[name] for name in (*MEASURED, "datasets")}


def load_classifier_metadata(path: Path) -> dict[str, Any]:
    """What `train_classifier` wrote of the classifier: all of it, or `NO_CLASSIFIER`.

    Raises:
        InputError: missing or altered file, or one about something else.
    """
    metadata = load_checked_json(path)
    if metadata != NO_CLASSIFIER and (lacking := [name for name in (*MEASURED, "dataset") if name not in metadata]):
        raise InputError(f"{path}: no metadata of a classifier, for it does not say {', '.join(lacking)}")
    return metadata
