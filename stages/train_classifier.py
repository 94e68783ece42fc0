"""Train the classifier that images are measured with, on complete, labelled images; and the floors of its FID.

FIDs compare only under the same classifier. So `classifier.weights` can name a committed file, which is then used as it
is, after its claims about itself were checked; null trains one (`source` in the metadata says which). The trained file
carries its metadata, so that it can be committed as it is: `make classifier` does that. A classifier that was trained
without the images of a second, smaller data set (`classifier.without`) serves that one, too.

Images without labels have no classifier: `source` is then "none", and the file holds no weights.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ldmiss.classifier.network import Classifier
from ldmiss.errors import InputError
from ldmiss.files.atomic import save_bytes
from ldmiss.fitting.classifier import describe_classifier, fit_classifier
from ldmiss.networks.restore import restore_network
from ldmiss.training.loop import Recipe
from ldmiss_pipeline.artifacts.curves import save_curve
from ldmiss_pipeline.artifacts.json_files import save_checked_json
from ldmiss_pipeline.artifacts.paths import CLASSIFIER, CLASSIFIER_METADATA, CURVES, RAW
from ldmiss_pipeline.datasets.dataset import Split
from ldmiss_pipeline.datasets.registry import DATASETS, load_split
from ldmiss_pipeline.models.classifier import NO_CLASSIFIER, restore_committed, save_classifier, save_no_classifier
from ldmiss_pipeline.running.context import Context

ACCURACY_TOLERANCE = 0.002
"""How far the accuracy measured here may lie from the one a committed file says: rounding flips a few images only."""
Tensors = tuple[Tensor, Tensor]
"""Images uint8 (N, C, H, W) and labels int64 (N,)."""


def run(context: Context) -> str:
    """Write the classifier, its loss curve (empty where nothing was trained), and its metadata."""
    name = context.params.dataset.name
    committed = context.params.classifier.weights
    curve: list[float] = []
    if DATASETS[name].num_classes is None:
        save_no_classifier(CLASSIFIER)
        metadata: dict[str, Any] = NO_CLASSIFIER
        told = f"none: {name} has no labels, so there is no FID, IS or accuracy"
    else:
        train, test = (load_split(name, RAW, split) for split in ("train", "test"))
        if committed is None:
            measured, curve = _train(context, train, _tensors(test))
        else:
            measured = _take(context, Path(committed), _tensors(train), _tensors(test))
        metadata = {**measured, "dataset": name, "source": "trained" if committed is None else "committed"}
        floor = measured["fid_floors"]["penultimate"]
        told = f"accuracy {measured['accuracy']:.4f}, FID floor {floor:.2f}, weights {measured['sha256'][:12]}"
    save_checked_json(CLASSIFIER_METADATA, metadata)
    save_curve(CURVES / "classifier.csv", curve)
    return told


def _take(context: Context, path: Path, train: Tensors, test: Tensors) -> dict[str, Any]:
    """The committed file, unless it is for other data sets, altered, or not as good as it says.

    What is measured is that of this run's data set, which for the one it was trained on the file already says.
    """
    name = context.params.dataset.name
    classifier, said = restore_committed(path, context.runtime.device, dataset=name)
    datasets = said.pop("datasets")
    measured = describe_classifier(classifier, train[0], *test)
    if name == datasets[0]:
        if abs(measured["accuracy"] - said["accuracy"]) > ACCURACY_TOLERANCE:
            raise InputError(
                f"classifier.weights: {path} says its accuracy is {said['accuracy']:.4f}, on the test images it is "
                f"{measured['accuracy']:.4f}; at most {ACCURACY_TOLERANCE} apart are allowed"
            )
        measured = said
    save_bytes(CLASSIFIER, path.read_bytes())
    return measured


def _train(context: Context, train: Split, test: Tensors) -> tuple[dict[str, Any], list[float]]:
    params, device = context.params.classifier, context.runtime.device
    name, without = context.params.dataset.name, params.without
    num_classes = DATASETS[name].num_classes
    assert num_classes is not None
    images, labels = _tensors(train if without is None else _left_out(train, without, name))
    fitted = fit_classifier(
        images.to(device), labels.to(device), num_classes=num_classes,
        recipe=Recipe(**params.train.model_dump()), dropout=params.dropout,
        seed=params.seed, dtype=context.runtime.dtype, checkpoint=context.checkpoint,
    )  # fmt: skip
    network = restore_network(Classifier, fitted.config, fitted.weights, device=device)
    measured = describe_classifier(network, torch.tensor(train.images), *test)
    datasets = [name] if without is None else [name, without]
    save_classifier(CLASSIFIER, fitted.weights, measured, network=fitted.config, datasets=datasets)
    return measured, fitted.curve


def _left_out(train: Split, without: str, name: str) -> Split:
    """The training images but for all images of the data set `without`, found by their content.

    Raises:
        InputError: some of these are not among the training images.
    """
    download = DATASETS[without].download
    if download is None:
        raise InputError(f"classifier.without: {without}; allowed: a named data set")
    with TemporaryDirectory() as folder:  # not data/raw, which holds what the pipeline's stages declare
        download(Path(folder) / without)
        splits = [load_split(without, Path(folder), split) for split in ("train", "test")]
    others = {image.tobytes() for split in splits for image in split.images}
    assert train.labels is not None
    contents = [image.tobytes() for image in train.images]
    if lacking := len(others.difference(contents)):
        raise InputError(
            f"classifier.without: {lacking} of the {len(others)} images of {without!r} are not among the training "
            f"images of {name!r}"
        )
    kept = np.array([content not in others for content in contents])
    return Split(train.images[kept], train.labels[kept])


def _tensors(split: Split) -> Tensors:
    return torch.tensor(split.images), torch.tensor(split.labels)
