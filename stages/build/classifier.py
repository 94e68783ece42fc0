"""The evaluation classifier and its file: weights, what is known of them, and features of a set of images."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ldmiss.errors import InputError
from ldmiss.evaluation.fidelity import accuracy, fid, fid_statistics
from ldmiss.networks.classifier import Classifier
from ldmiss.pixels import unit_from_uint8
from stages.build.network import restore_network, with_prefix
from stages.io import load_checked_json, load_tensors, save_tensors

if TYPE_CHECKING:
    from stages.datasets import Images

KIND = "classifier"
FACTS = ("accuracy", "fid_floors", "sha256", "dataset")
"""What the file's header says beside the size, and what every metrics file repeats."""
_BATCH_SIZE = 100
"""More is slower on a CPU: memory for larger activations comes afresh from the system for every layer."""


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
            f"{path}: holds weights {found[:12]}, but its facts name {sha256[:12]}; "
            "make both again with `dvc repro --force train_classifier`"
        )
    return _network(path, weights, header, device)


def _network(path: Path, weights: dict[str, Tensor], header: Mapping[str, Any], device: torch.device) -> Classifier:
    config = {"size": header["size"]}
    return restore_network(Classifier, config, with_prefix("net", weights), prefix="net", path=path, device=device)


def save_classifier(path: Path, weights: Mapping[str, Tensor], facts: Mapping[str, Any], *, size: int) -> None:
    """Write a classifier for images of `size` x `size` with its facts in the header: such a file can be committed."""
    save_tensors(path, weights, kind=KIND, facts={"size": size, **{name: facts[name] for name in FACTS}})


def restore_committed(path: Path, device: torch.device, *, dataset: str) -> tuple[Classifier, dict[str, Any]]:
    """A committed classifier and its facts, once it is clear that they are of these weights and of this data set.

    Raises:
        InputError: no such file, no facts in it, weights that are not those it names, or another data set's.
    """
    if not path.is_file():
        raise InputError(f"classifier.weights: {path}: missing file; name one that is there, or null to train")
    weights, header = load_tensors(path, kind=KIND)
    if lacking := [name for name in ("size", *FACTS) if name not in header]:
        raise InputError(f"classifier.weights: {path} does not say its {', '.join(lacking)}; see `make classifier`")
    if header["dataset"] != dataset:
        raise InputError(
            f"classifier.weights: {path} was trained on {header['dataset']!r}, this run's dataset is {dataset!r}; "
            "choose its own weights, or null to train them"
        )
    if (found := weights_sha256(weights)) != header["sha256"]:
        raise InputError(f"classifier.weights: {path} holds weights {found[:12]}, but says {header['sha256'][:12]}")
    return _network(path, weights, header, device), {name: header[name] for name in FACTS}


def load_facts(path: Path) -> dict[str, Any]:
    """The facts that `train_classifier` wrote.

    Raises:
        InputError: missing or altered file, or one about something else.
    """
    facts = load_checked_json(path)
    if lacking := [name for name in FACTS if name not in facts]:
        raise InputError(f"{path}: no facts of a classifier, for it does not say {', '.join(lacking)}")
    return facts


def weights_sha256(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 of the weights' bytes in the order of their names: the same however a file lays them out."""
    return hashlib.sha256(b"".join(weights[key].cpu().numpy().tobytes() for key in sorted(weights))).hexdigest()


def describe_classifier(classifier: Classifier, train: "Images", test: "Images", *, dataset: str) -> dict[str, Any]:
    """The facts of a classifier: test accuracy, FID floors, hash of the weights, data set.

    A floor is the FID of real training images, as many as there are test images, against the test images: what a
    perfect generator would get with so many samples (fewer samples raise an FID). There is one for every layer that
    an FID may be taken of, so that choosing another one (`evaluate.fid_layer`) only measures again.
    """
    tested, real = (extract_layers(classifier, unit_images(part.images[: len(test.labels)])) for part in (test, train))
    return {
        "accuracy": accuracy(tested["logits"], torch.tensor(test.labels)),
        "fid_floors": {layer: fid(fid_statistics(real[layer]), fid_statistics(tested[layer])) for layer in tested},
        "sha256": weights_sha256(classifier.state_dict()),
        "dataset": dataset,
    }


@torch.no_grad()
def extract_layers(classifier: Classifier, images: Tensor) -> dict[str, Tensor]:
    """Every layer that a distance may be taken of, float32 on the CPU, for images (N, 1, H, W) in [0, 1] (clipped).

    penultimate: 64 hidden units after their ReLU (N, 64), the usual choice; pre_relu: the same before it (N, 64);
    logits: (N, 10).
    """
    device = next(classifier.parameters()).device
    parts = []
    for batch in torch.split(images, _BATCH_SIZE):
        hidden = classifier.pre_relu(batch.to(device).float().clamp(0, 1))
        penultimate = F.relu(hidden)
        parts.append((penultimate, hidden, classifier.fc2(penultimate)))
    columns = (torch.cat(column).cpu() for column in zip(*parts, strict=True))
    return dict(zip(("penultimate", "pre_relu", "logits"), columns, strict=True))


def extract_features(classifier: Classifier, images: Tensor, layer: str) -> tuple[Tensor, Tensor]:
    """Features of a layer of `extract_layers` (N, F) and logits (N, 10) of images (N, 1, H, W)."""
    layers = extract_layers(classifier, images)
    return layers[layer], layers["logits"]


def unit_images(images: Any) -> Tensor:
    """uint8 images (N, H, W) as a float tensor (N, 1, H, W) in [0, 1]."""
    return unit_from_uint8(torch.tensor(images)[:, None])
