"""Train the classifier that images are measured with, on complete, labelled digits; and the floors of its FID.

FIDs compare only under the same classifier. So `classifier.weights` can name a committed file, which is then used as it
is, after its claims about itself were checked; null trains one (`source` in the metadata says which). The trained file
carries its metadata, so that it can be committed as it is: `make classifier` does that for MNIST.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ldmiss.classifier.features import extract_layers
from ldmiss.classifier.frechet import accuracy
from ldmiss.classifier.network import Classifier
from ldmiss.core.pixels import unit_from_uint8
from ldmiss.errors import InputError
from ldmiss.files.atomic import atomic_write
from ldmiss.fitting.classifier import describe_classifier, fit_classifier
from ldmiss.networks.restore import restore_network
from ldmiss.training.loop import Recipe
from ldmiss_pipeline.artifacts.curves import save_curve
from ldmiss_pipeline.artifacts.json_files import save_checked_json
from ldmiss_pipeline.artifacts.paths import CLASSIFIER, CLASSIFIER_METADATA, CURVES, RAW
from ldmiss_pipeline.datasets.dataset import Images
from ldmiss_pipeline.datasets.registry import load_split
from ldmiss_pipeline.models.classifier import restore_committed, save_classifier
from ldmiss_pipeline.running.context import Context

ACCURACY_TOLERANCE = 0.002
"""How far the accuracy measured here may lie from the one a committed file says: rounding flips a few digits only."""


def run(context: Context) -> str:
    """Write the classifier, its loss curve (empty where nothing was trained), and its metadata."""
    name = context.params.dataset.name
    train, test = (load_split(name, RAW, split) for split in ("train", "test"))
    committed = context.params.classifier.weights
    metadata, curve = _train(context, train, test) if committed is None else _take(context, Path(committed), test)
    save_checked_json(CLASSIFIER_METADATA, {**metadata, "source": "trained" if committed is None else "committed"})
    save_curve(CURVES / "classifier.csv", curve)
    floor = metadata["fid_floors"]["penultimate"]
    return f"accuracy {metadata['accuracy']:.4f}, FID floor {floor:.2f}, weights {metadata['sha256'][:12]}"


def _take(context: Context, path: Path, test: Images) -> tuple[dict[str, Any], list[float]]:
    """The committed file, unless it is of another data set, altered, or not as good as it says."""
    classifier, metadata = restore_committed(path, context.runtime.device, dataset=context.params.dataset.name)
    layers = extract_layers(classifier, unit_from_uint8(_tensor(test)))
    found = accuracy(layers["logits"], torch.tensor(test.labels))
    if abs(found - metadata["accuracy"]) > ACCURACY_TOLERANCE:
        raise InputError(
            f"classifier.weights: {path} says its accuracy is {metadata['accuracy']:.4f}, on the test images it is "
            f"{found:.4f}; at most {ACCURACY_TOLERANCE} apart are allowed"
        )
    content = path.read_bytes()
    atomic_write(CLASSIFIER, lambda file: file.write(content))
    return metadata, []


def _train(context: Context, train: Images, test: Images) -> tuple[dict[str, Any], list[float]]:
    params, device = context.params.classifier, context.runtime.device
    images, labels = _tensor(train), torch.tensor(train.labels)
    fitted = fit_classifier(
        images.to(device), labels.to(device),
        recipe=Recipe(**params.train.model_dump()), dropout=params.dropout,
        seed=params.seed, dtype=context.runtime.dtype, checkpoint=context.checkpoint,
    )  # fmt: skip
    network = restore_network(Classifier, fitted.config, fitted.weights, device=device)
    metadata = describe_classifier(network, images, _tensor(test), torch.tensor(test.labels))
    metadata["dataset"] = context.params.dataset.name
    save_classifier(CLASSIFIER, fitted.weights, metadata, size=fitted.config["size"])
    return metadata, fitted.curve


def _tensor(split: Images) -> Tensor:
    """The images as uint8 (N, 1, H, W)."""
    return torch.tensor(split.images)[:, None]
