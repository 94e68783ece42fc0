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
METADATA = ("accuracy", "fid_floors", "sha256", "dataset")
"""What the file's header says beside the size, and what every metrics file repeats."""


def restore_classifier(path: Path, device: torch.device, *, sha256: str | None = None) -> Classifier:
    """The classifier in a file of kind "classifier".

    Args:
        sha256: of the weights that the file has to hold; None takes any.

    Raises:
        InputError: no such file, or other weights.
    """
    weights, header = load_tensors(path, kind=KIND)
    if sha256 is not None and (found := weights_sha256(weights)) != sha256:
        raise InputError(
            f"{path}: holds weights {found[:12]}, but its metadata names {sha256[:12]}; "
            "make both again with `dvc repro --force train_classifier`"
        )
    return _network(path, weights, header, device)


def _network(path: Path, weights: dict[str, Tensor], header: Mapping[str, Any], device: torch.device) -> Classifier:
    config = {"size": header["size"]}
    return restore_network(Classifier, config, weights, device=device, where=path)


def save_classifier(path: Path, weights: Mapping[str, Tensor], metadata: Mapping[str, Any], *, size: int) -> None:
    """Write a classifier for images of `size` x `size` with its metadata; such a file can be committed."""
    save_tensors(path, weights, kind=KIND, metadata={"size": size, **{name: metadata[name] for name in METADATA}})


def restore_committed(path: Path, device: torch.device, *, dataset: str) -> tuple[Classifier, dict[str, Any]]:
    """A committed classifier and its metadata, once it is clear that they are of these weights and of this data set.

    Raises:
        InputError: no such file, no metadata in it, weights that are not those it names, or another data set's.
    """
    if not path.is_file():
        raise InputError(f"classifier.weights: {path}: missing file; name one that is there, or null to train")
    weights, header = load_tensors(path, kind=KIND)
    if lacking := [name for name in ("size", *METADATA) if name not in header]:
        raise InputError(f"classifier.weights: {path} does not say its {', '.join(lacking)}; see `make classifier`")
    if header["dataset"] != dataset:
        raise InputError(
            f"classifier.weights: {path} was trained on {header['dataset']!r}, this run's dataset is {dataset!r}; "
            "choose its own weights, or null to train them"
        )
    if (found := weights_sha256(weights)) != header["sha256"]:
        raise InputError(f"classifier.weights: {path} holds weights {found[:12]}, but says {header['sha256'][:12]}")
    return _network(path, weights, header, device), {name: header[name] for name in METADATA}


def load_classifier_metadata(path: Path) -> dict[str, Any]:
    """What `train_classifier` wrote of the classifier.

    Raises:
        InputError: missing or altered file, or one about something else.
    """
    metadata = load_checked_json(path)
    if lacking := [name for name in METADATA if name not in metadata]:
        raise InputError(f"{path}: no metadata of a classifier, for it does not say {', '.join(lacking)}")
    return metadata
