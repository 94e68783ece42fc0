"""The evaluation classifier, trained on complete, labelled images (paper A.1.3), and the metadata of a trained one."""

from typing import Any

import torch
from torch import Tensor

from ldmiss.checkpoints import NO_CHECKPOINT, Checkpoint
from ldmiss.checks import check_array, check_count, check_number, check_range
from ldmiss.classifier.features import extract_layers
from ldmiss.classifier.frechet import accuracy, fid, fid_statistics
from ldmiss.classifier.network import MIN_SIZE, Classifier, weights_sha256
from ldmiss.classifier.objective import classifier_loss
from ldmiss.core.noise import torch_generator
from ldmiss.core.pixels import unit_from_uint8
from ldmiss.errors import InputError
from ldmiss.networks.layers import at_precision, build, init_torch_default
from ldmiss.training.fit import FittedNetwork, run_training
from ldmiss.training.loop import Recipe, Training


def fit_classifier(
    images: Tensor,
    labels: Tensor,
    *,
    num_classes: int,
    recipe: Recipe,
    seed: int,
    dropout: float = 0.0,
    dtype: torch.dtype = torch.float32,
    checkpoint: Checkpoint = NO_CHECKPOINT,
    progress: bool = True,
) -> FittedNetwork:
    """Train the classifier.

    Args:
        images: uint8 (N, C, H, W), complete, H and W at least 6, on the device that trains.
        labels: int64 (N,) from 0 to num_classes - 1, on the same device.
        num_classes: that there are.
        recipe: how it is trained.
        seed: root of all draws.
        dropout: probability, before each fully connected layer.
        dtype: precision of the network's layers, float32 or bfloat16.
        checkpoint, progress: see `fit_network`.

    Raises:
        InputError: images, labels or settings of another shape, dtype or range.
        DivergenceError: a loss or a weight is not finite.
    """
    check_array("images", images, ("N", "C", "H", "W"), "uint8")
    if min(images.shape[2:]) < MIN_SIZE:
        raise InputError(f"images: {images.shape[2]} x {images.shape[3]}; allowed: at least {MIN_SIZE} x {MIN_SIZE}")
    check_count("num_classes", num_classes, least=2)
    check_array("labels", labels, (len(images),), "int64")
    check_range("labels", labels, 0, num_classes - 1)
    check_number("dropout", dropout, least=0, below=1)
    config: dict[str, Any] = {"shape": list(images.shape[1:]), "num_classes": num_classes}
    generator = torch_generator("cpu", seed, "classifier", "init")
    network = build(lambda: Classifier(**config, dropout=dropout), images.device, init_torch_default, generator)
    training = Training(network, recipe, num_items=len(labels), seed=seed)
    batch_loss = classifier_loss(at_precision(network, dtype), images, labels)
    run_training(training, batch_loss, name="classifier", checkpoint=checkpoint, progress=progress)
    return FittedNetwork(config, training.result(), training.curve)


def describe_classifier(classifier: Classifier, train: Tensor, test: Tensor, labels: Tensor) -> dict[str, Any]:
    """The metadata of a classifier: test accuracy, FID floors, hash of the weights.

    A floor is the FID of real training images, as many as there are test images, against the test images: what a
    perfect generator would get with so many samples (fewer samples raise an FID). There is one for every layer that
    an FID may be taken of, so that choosing another one (`evaluate.fid_layer`) only measures again.

    Args:
        classifier: on its device.
        train, test: uint8 images, (N, C, H, W) and (M, C, H, W).
        labels: of the test images, int64 (M,).
    """
    tested, real = (
        extract_layers(classifier, unit_from_uint8(images[: len(labels)])) for images in (test, train)
    )  # fmt: skip
    return {
        "accuracy": accuracy(tested["logits"], labels),
        "fid_floors": {layer: fid(fid_statistics(real[layer]), fid_statistics(tested[layer])) for layer in tested},
        "sha256": weights_sha256(classifier.state_dict()),
    }
