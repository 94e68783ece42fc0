"""The yardstick: a classifier on complete, labelled digits, for evaluation only, and the floors of its FID.

FIDs compare only under the same classifier. So `classifier.weights` can name a committed file, which is then used as it
is, after its claims about itself were checked; null trains one (`source` in the facts says which). The trained file
carries its facts, so that it can be committed as it is: `make classifier` does that for MNIST.
"""

from pathlib import Path
from typing import Any

import torch

from ldmiss.classifier.features import extract_layers, unit_images
from ldmiss.classifier.frechet import accuracy
from ldmiss.classifier.network import Classifier
from ldmiss.classifier.objective import classifier_loss
from ldmiss.core.noise import torch_generator
from ldmiss.errors import InputError
from ldmiss.files.atomic import atomic_write
from ldmiss.fitting.classifier import describe_classifier
from ldmiss.networks.layers import at_precision, build, init_torch_default
from ldmiss.training.loop import Training
from ldmiss_pipeline.artifacts.curves import save_curve
from ldmiss_pipeline.artifacts.json_files import save_checked_json
from ldmiss_pipeline.artifacts.paths import CLASSIFIER, CLASSIFIER_FACTS, CURVES, RAW
from ldmiss_pipeline.datasets.registry import Images, load_split
from ldmiss_pipeline.models.classifier import restore_committed, save_classifier
from ldmiss_pipeline.running.context import Context
from ldmiss_pipeline.running.training import recipe_from, run_training

ACCURACY_TOLERANCE = 0.002
"""How far the accuracy measured here may lie from the one a committed file says: rounding flips a few digits only."""


def run(context: Context) -> str:
    """Write the classifier, its loss curve (empty where nothing was trained), and its facts."""
    name = context.params.dataset.name
    train, test = (load_split(name, RAW, split) for split in ("train", "test"))
    committed = context.params.classifier.weights
    facts, curve = _train(context, train, test) if committed is None else _take(context, Path(committed), test)
    save_checked_json(CLASSIFIER_FACTS, {**facts, "source": "trained" if committed is None else "committed"})
    save_curve(CURVES / "classifier.csv", curve)
    floor = facts["fid_floors"]["penultimate"]
    return f"accuracy {facts['accuracy']:.4f}, FID floor {floor:.2f}, weights {facts['sha256'][:12]}"


def _take(context: Context, path: Path, test: Images) -> tuple[dict[str, Any], list[float]]:
    """The committed file, unless it is of another data set, altered, or not as good as it says."""
    classifier, facts = restore_committed(path, context.runtime.device, dataset=context.params.dataset.name)
    layers = extract_layers(classifier, unit_images(test.images))
    found = accuracy(layers["logits"], torch.tensor(test.labels))
    if abs(found - facts["accuracy"]) > ACCURACY_TOLERANCE:
        raise InputError(
            f"classifier.weights: {path} says its accuracy is {facts['accuracy']:.4f}, on the test images it is "
            f"{found:.4f}; at most {ACCURACY_TOLERANCE} apart are allowed"
        )
    content = path.read_bytes()
    atomic_write(CLASSIFIER, lambda file: file.write(content))
    return facts, []


def _train(context: Context, train: Images, test: Images) -> tuple[dict[str, Any], list[float]]:
    params, device = context.params.classifier, context.runtime.device
    generator = torch_generator("cpu", params.seed, "classifier", "init")
    network = build(lambda: Classifier(dropout=params.dropout), device, init_torch_default, generator)
    training = Training(network, recipe_from(params.train), num_items=len(train.labels), seed=params.seed)
    images, labels = torch.tensor(train.images)[:, None].to(device), torch.tensor(train.labels).to(device)
    batch_loss = classifier_loss(at_precision(network, context.runtime.dtype), images, labels)
    run_training(training, batch_loss, context.checkpoint, "classifier")
    weights = training.result()
    network.load_state_dict(weights)  # what is measured is what is kept
    facts = describe_classifier(network, train, test, dataset=context.params.dataset.name)
    save_classifier(CLASSIFIER, weights, facts, size=train.images.shape[1])
    return facts, training.curve
