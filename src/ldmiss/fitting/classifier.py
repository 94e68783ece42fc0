"""The evaluation classifier, trained on complete, labelled images."""

from typing import TYPE_CHECKING, Any

import torch

from ldmiss.classifier.features import extract_layers, unit_images
from ldmiss.classifier.frechet import accuracy, fid, fid_statistics
from ldmiss.classifier.network import Classifier, weights_sha256

if TYPE_CHECKING:
    from ldmiss_pipeline.datasets.registry import Images


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
