"""One set of images to its metrics: files and params stay with `stages.evaluate`.

Keys of metrics (`_se`: standard error over a bootstrap of images). One that is not defined is absent, never NaN: an
error where no pixel is missing, a standard error of one image.

generation: fid, fid_se, is, is_se, kid (1,000-image subsets), precision, recall (at most 5,000 images of each side;
    absent below 4), confident, smallest_class.
imputation: mse, mse_se (missing pixels, one draw, all images); mse_draw, mse_draw_se, mse_mean, mse_mean_se (one of K
    draws, and their mean, on the draws subset); mse_all; fid, fid_se, is, is_se; accuracy, accuracy_se. With K >= 2
    draws: crps, coverage (absent where no pixel is uncertain), coverage_level (what K draws nominally cover),
    coverage_share (of the missing pixels that counted), calibration (absent where all draws are the same).
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ldmiss.checks import Shape, check_array, check_choice, check_observed, check_range
from ldmiss.classifier.features import LAYERS, extract_features, unit_images
from ldmiss.classifier.frechet import accuracy, fid, fid_statistics
from ldmiss.classifier.network import NUM_CLASSES, Classifier
from ldmiss.core.pixels import unit_from_uint8
from ldmiss.core.randomness import numpy_generator
from ldmiss.errors import InputError
from ldmiss.evaluation.bootstrap import fid_se, inception_score_se, ratio_se, resample_weights
from ldmiss.evaluation.fidelity import class_shares, inception_score, kid, precision_recall
from ldmiss.evaluation.pixel import FLOATS, Errors, errors_by_image, errors_of_draws_by_image, mse, mse_all
from ldmiss.evaluation.uncertainty import (
    MIN_SD,
    calibration,
    coverage,
    coverage_level,
    crps,
    missing_pixels,
    reliability,
)

CONFIDENCE = 0.9
NUM_RESAMPLES = 200
"""Resamples of the images: a standard error is then itself known to 5 %."""
NUM_FID_RESAMPLES = 50
"""Resamples for an FID, each of which takes a covariance of all features; the standard error is known to 10 %."""

Pixels = NDArray[np.float32]


class ReferenceMetrics:
    """The classifier, and the statistics of the real test images under it.

    Args:
        classifier: on its device.
        images: all test images, uint8 (M, H, W), M >= 2.
        labels: theirs, int64 (M,), 0 to 9.
        layer: of the classifier, for FID, KID, precision and recall (`extract_layers`).
        seed: of the bootstrap; sets of the same size share their resamples.

    Raises:
        InputError: images or labels of another shape, dtype or range, or an unknown layer.
    """

    def __init__(
        self, classifier: Classifier, images: NDArray[np.uint8], labels: NDArray[np.int64], *, layer: str, seed: int
    ) -> None:
        check_array("images", images, ("M", "H", "W"), "uint8")
        _check_enough("images", images)
        check_array("labels", labels, (len(images),), "int64")
        check_range("labels", labels, 0, NUM_CLASSES - 1)
        check_choice("layer", layer, LAYERS)
        self.classifier, self.images, self.labels, self.layer, self.seed = classifier, images, labels, layer, seed
        self.features, _ = extract_features(classifier, unit_images(images), layer)
        self.statistics_of_real = fid_statistics(self.features)
        self._weights: dict[int, NDArray[np.float64]] = {}

    def weights(self, num_images: int) -> NDArray[np.float64]:
        """The resamples of a set of this size, float64 (NUM_RESAMPLES, num_images)."""
        if num_images not in self._weights:
            rng = numpy_generator(self.seed, "evaluate", "bootstrap", num_images)
            self._weights[num_images] = resample_weights(num_images, NUM_RESAMPLES, rng)
        return self._weights[num_images]

    def floor(self, features: Tensor) -> float:
        """FID of real images, given by their features (N, F): what a perfect set of so many images would get."""
        return fid(fid_statistics(features), self.statistics_of_real)

    def measure(self, images: NDArray[np.floating]) -> tuple[dict[str, float], Tensor, Tensor]:
        """FID and IS of images (N, H, W) in [0, 1] with their standard errors; features (N, F) and logits (N, 10)."""
        features, logits = extract_features(self.classifier, torch.from_numpy(images)[:, None].float(), self.layer)
        weights = self.weights(len(images))
        metrics = {
            "fid": fid(fid_statistics(features), self.statistics_of_real),
            "fid_se": fid_se(features.double().numpy(), weights[:NUM_FID_RESAMPLES], self.statistics_of_real),
            "is": inception_score(logits),
            "is_se": inception_score_se(logits.double().numpy(), weights),
        }
        return metrics, features, logits


def measure_generation(reference: ReferenceMetrics, samples: NDArray[np.floating]) -> dict[str, float]:
    """Metrics of generated images, floats (N, H, W) in [0, 1], N >= 2.

    Raises:
        InputError: another shape, dtype or range, or another size than the reference's.
    """
    _check_unit("samples", samples, ("N", *reference.images.shape[1:]))
    _check_enough("samples", samples)
    metrics, features, logits = reference.measure(samples)
    metrics["kid"] = kid(features, reference.features)
    if len(samples) >= 4:
        metrics["precision"], metrics["recall"] = precision_recall(features, reference.features)
    return metrics | class_shares(logits, min_confidence=CONFIDENCE)


def measure_imputation(
    reference: ReferenceMetrics,
    completed: NDArray[np.floating],
    rows: NDArray[np.int64],
    subset: NDArray[np.int64],
    draws: NDArray[np.floating],
    observed: NDArray[np.bool_],
) -> tuple[dict[str, float], NDArray[np.float64]]:
    """Metrics of N completed test images, and the reliability curve of the draws.

    Args:
        reference: with the test images.
        completed: floats (N, H, W), one draw of each image, in [0, 1]; N >= 2.
        rows: int64 (N,), which of the test images they are.
        subset: int64 (S,), which of `completed` have several draws.
        draws: floats (S, K, H, W), in [0, 1].
        observed: of all test images, bool (M, H, W).

    Returns:
        metrics, and float64 (B, 3) as from `ldmiss.evaluation.uncertainty.reliability`.

    Raises:
        InputError: another shape, dtype or range, or another size than the reference's.
    """
    _check_imputation(reference, completed, rows, subset, draws, observed)
    num_images = len(completed)
    truth, observed = unit_from_uint8(torch.from_numpy(reference.images[rows])).numpy(), observed[rows]
    x_hat, x_draws = completed.astype(np.float32), draws.astype(np.float32)
    labels = torch.tensor(reference.labels[rows])
    weights, subset_weights = reference.weights(num_images), reference.weights(len(subset))
    of_sets, _, logits = reference.measure(completed)
    right = (logits.argmax(1) == labels).double().numpy()
    of_draw, of_mean, counts = errors_of_draws_by_image(x_draws, truth[subset], observed[subset])
    metrics = {
        **_mse_with_se("mse", *errors_by_image(x_hat, truth, observed), weights),
        **_mse_with_se("mse_draw", of_draw, counts, subset_weights),
        **_mse_with_se("mse_mean", of_mean, counts, subset_weights),
        "mse_all": mse_all(x_hat, truth),
        **of_sets,
        **_with_se("accuracy", accuracy(logits, labels), ratio_se(right, np.ones(num_images), weights)),
    }
    of_draws, curve = measure_draws(x_draws, truth[subset], observed[subset])
    return metrics | of_draws, curve


def measure_draws(
    draws: Pixels, truth: Pixels, observed: NDArray[np.bool_]
) -> tuple[dict[str, float], NDArray[np.float64]]:
    """Uncertainty metrics and the reliability curve of draws (S, K, H, W); no metrics for K = 1 or no missing pixel.

    The truth is of 8 bits, so draws are rounded to 8 bits where they are compared with it in rank (coverage).
    """
    x, y = missing_pixels(draws, truth, observed)
    num_draws = x.shape[1]
    if num_draws < 2 or not len(y):
        return {}, reliability(x, y)
    metrics = {"crps": crps(x, y)}
    covered, share = coverage(np.round(x * 255), np.round(y * 255), min_sd=255 * MIN_SD)
    factor = calibration(x, y)
    metrics |= {} if covered is None else {"coverage": covered}
    metrics |= {"coverage_level": coverage_level(num_draws), "coverage_share": share}
    metrics |= {} if factor is None else {"calibration": factor}
    return metrics, reliability(x, y)


def _check_imputation(
    reference: ReferenceMetrics,
    completed: NDArray[np.floating],
    rows: NDArray[np.int64],
    subset: NDArray[np.int64],
    draws: NDArray[np.floating],
    observed: NDArray[np.bool_],
) -> None:
    size = reference.images.shape[1:]
    _check_unit("completed", completed, ("N", *size))
    _check_enough("completed", completed)
    check_array("rows", rows, (len(completed),), "int64")
    check_range("rows", rows, 0, len(reference.images) - 1)
    check_array("subset", subset, ("S",), "int64")
    check_range("subset", subset, 0, len(completed) - 1)
    _check_unit("draws", draws, (len(subset), "K", *size))
    check_observed(observed, reference.images, "the reference's images")


def _check_unit(name: str, images: NDArray[np.floating], shape: Shape) -> None:
    check_array(name, images, shape, *FLOATS)
    check_range(name, images, 0, 1)


def _check_enough(name: str, images: NDArray[Any]) -> None:
    if len(images) < 2:
        raise InputError(f"{name}: a single one, whose features have no covariance; allowed: at least 2")


def _mse_with_se(name: str, errors: Errors, counts: Errors, weights: NDArray[np.float64]) -> dict[str, float]:
    return _with_se(name, mse(errors, counts), ratio_se(errors, counts, weights)) if counts.any() else {}


def _with_se(name: str, value: float, se: float | None) -> dict[str, float]:
    return {name: value} if se is None else {name: value, f"{name}_se": se}
