"""The yardstick: a classifier on complete, labelled digits, for evaluation only, and the floor of its FID."""

import hashlib

import torch

from ldmiss.evaluation.fidelity import accuracy, fid, fid_statistics
from ldmiss.networks.classifier import Classifier
from ldmiss.networks.layers import at_precision, build, init_torch_default
from ldmiss.noise import torch_generator
from ldmiss.training.classifier_objective import classifier_loss
from ldmiss.training.loop import Training
from stages.build.classifier import extract_features
from stages.context import Context
from stages.datasets import Images, load_split
from stages.io import save_json, save_tensors
from stages.paths import CLASSIFIER, CLASSIFIER_FACTS, CURVES, RAW
from stages.training import recipe_from, run_training, save_curve


def run(context: Context) -> str:
    """Write the classifier, its loss curve, and its accuracy, FID floor and hash.

    The floor is the FID of real training images, as many as there are test images, against the test images: what a
    perfect generator would get with so many samples (fewer samples raise an FID).
    """
    params, device = context.params.classifier, context.runtime.device
    name = context.params.dataset.name
    train, test = (load_split(name, RAW, split) for split in ("train", "test"))
    network = build(Classifier, device, init_torch_default, torch_generator("cpu", params.seed, "classifier", "init"))
    training = Training(network, recipe_from(params.train), num_items=len(train.labels), seed=params.seed)
    images, labels = _to(device, train)
    batch_loss = classifier_loss(at_precision(network, context.runtime.dtype), images, labels)
    run_training(training, batch_loss, context.checkpoint, "classifier")
    weights = training.result()
    network.load_state_dict(weights)  # what is measured is what is kept

    test_images, test_labels = _to(device, test)
    features, logits = extract_features(network, test_images.float() / 255)
    real, _ = extract_features(network, images[: len(test_labels)].float() / 255)
    facts = {
        "accuracy": accuracy(logits, test_labels.cpu()),
        "fid_floor": fid(fid_statistics(real), fid_statistics(features)),
        "sha256": hashlib.sha256(b"".join(weights[key].numpy().tobytes() for key in sorted(weights))).hexdigest(),
        "dataset": name,
    }
    save_tensors(CLASSIFIER, weights, kind="classifier", facts={"size": train.images.shape[1]})
    save_json(CLASSIFIER_FACTS, facts)
    save_curve(CURVES / "classifier.csv", training.curve)
    return f"accuracy {facts['accuracy']:.4f}, FID floor {facts['fid_floor']:.2f}"


def _to(device: torch.device, split: Images) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor(split.images)[:, None].to(device), torch.tensor(split.labels).to(device)
