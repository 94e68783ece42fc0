"""What images are measured against: the real test images under the classifier, and resamples of a set's images."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ldmiss.checks import check_array, check_choice, check_range
from ldmiss.classifier.features import LAYERS, extract_features
from ldmiss.classifier.frechet import fid, fid_statistics
from ldmiss.classifier.network import Classifier
from ldmiss.core.randomness import numpy_generator
from ldmiss.errors import InputError
from ldmiss.evaluation.bootstrap import fid_se, inception_score_se, resample_weights
from ldmiss.evaluation.fidelity import inception_score
from ldmiss.evaluation.pixel import FLOATS

NUM_RESAMPLES = 200
"""Resamples of the images: a standard error is then itself known to 5 %."""
NUM_FID_RESAMPLES = 50
"""Resamples for an FID, each of which takes a covariance of all features; the standard error is known to 10 %."""


class Resamples:
    """The resamples of sets of images, from one seed: sets of the same size share theirs."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._weights: dict[int, NDArray[np.float64]] = {}

    def weights(self, num_images: int) -> NDArray[np.float64]:
        """How often each image is in each resample, float64 (NUM_RESAMPLES, num_images)."""
        if num_images not in self._weights:
            rng = numpy_generator(self.seed, "evaluate", "bootstrap", num_images)
            self._weights[num_images] = resample_weights(num_images, NUM_RESAMPLES, rng)
        return self._weights[num_images]


class ReferenceMetrics:
    """The classifier, and the statistics of the real test images under it.

    Args:
        classifier: on its device.
        images: all test images, floats (M, C, H, W) in [0, 1], M >= 2.
        labels: theirs, int64 (M,), from 0 to the number of classes less one.
        layer: of the classifier, for FID, KID, precision and recall (`extract_layers`).
        seed: of the bootstrap.

    Raises:
        InputError: images or labels of another shape, dtype or range, or an unknown layer.
    """

    def __init__(
        self, classifier: Classifier, images: NDArray[Any], labels: NDArray[np.int64], *, layer: str, seed: int
    ) -> None:
        check_unit_images("images", images, ("M", "C", "H", "W"))
        check_array("labels", labels, (len(images),), "int64")
        check_range("labels", labels, 0, classifier.fc2.out_features - 1)
        check_choice("layer", layer, LAYERS)
        self.classifier, self.labels, self.layer = classifier, labels, layer
        self.shape = images.shape[1:]
        self.resamples = Resamples(seed)
        self.features, _ = extract_features(classifier, torch.from_numpy(images), layer)
        self.statistics_of_real = fid_statistics(self.features)

    def floor(self, features: Tensor) -> float:
        """FID of real images, given by their features (N, F): what a perfect set of so many images would get."""
        return fid(fid_statistics(features), self.statistics_of_real)

    def measure(self, images: NDArray[np.floating]) -> tuple[dict[str, float], Tensor, Tensor]:
        """FID and IS of images (N, C, H, W) with their standard errors; features (N, F) and logits (N, classes)."""
        features, logits = extract_features(self.classifier, torch.from_numpy(images).float(), self.layer)
        weights = self.resamples.weights(len(images))
        metrics = {
            "fid": fid(fid_statistics(features), self.statistics_of_real),
            "fid_se": fid_se(features.double().numpy(), weights[:NUM_FID_RESAMPLES], self.statistics_of_real),
            "is": inception_score(logits),
            "is_se": inception_score_se(logits.double().numpy(), weights),
        }
        return metrics, features, logits


def check_unit_images(name: str, images: NDArray[Any], shape: tuple[int | str, ...]) -> None:
    """At least two images in [0, 1]: the features of one have no covariance.

    Raises:
        InputError: another shape, dtype or range, or a single image.
    """
    check_array(name, images, shape, *FLOATS)
    check_range(name, images, 0, 1)
    if len(images) < 2:
        raise InputError(f"{name}: a single one, whose features have no covariance; allowed: at least 2")
