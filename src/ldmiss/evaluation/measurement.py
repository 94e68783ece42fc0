"""One set of images to its metrics: files and params stay with `stages.evaluate`.

Keys of metrics (`_se`: standard error over a bootstrap of images). One that is not defined is absent, never NaN: an
error where no pixel is scored, a standard error of one image.

generation: fid, fid_se, is, is_se, kid (1,000-image subsets), precision, recall (at most 5,000 images of each side;
    absent below 4), confident, smallest_class.
imputation: mse, mse_se (one draw, all images); mse_draw, mse_draw_se, mse_mean, mse_mean_se (one of K draws, and their
    mean, on the draws subset); mse_all where all the truth is known. With K >= 2 draws: crps, coverage (absent where no
    pixel is uncertain), coverage_level (what K draws nominally cover), coverage_share (of the scored pixels that
    counted), calibration (absent where all draws are the same). Of images with labels: fid, fid_se, is, is_se;
    accuracy, accuracy_se. In the units of the data: rmse, rmse_se, mae, mae_se (one draw); rmse_mean, rmse_mean_se,
    mae_mean, mae_mean_se.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ldmiss.checks import check_array, check_finite, check_indicators, check_range
from ldmiss.classifier.frechet import accuracy
from ldmiss.errors import InputError
from ldmiss.evaluation.bootstrap import ratio_se
from ldmiss.evaluation.fidelity import class_shares, kid, precision_recall
from ldmiss.evaluation.pixel import FLOATS, Errors, errors_by_image, errors_of_draws_by_image, mse, mse_all
from ldmiss.evaluation.reference import ReferenceMetrics, Resamples, check_unit_images
from ldmiss.evaluation.uncertainty import (
    MIN_SD,
    calibration,
    coverage,
    coverage_level,
    crps,
    reliability,
    scored_pixels,
)

CONFIDENCE = 0.9

Pixels = NDArray[np.floating]
Metrics = dict[str, float]


def measure_generation(reference: ReferenceMetrics, samples: Pixels) -> Metrics:
    """Metrics of generated images, floats (N, C, H, W) in [0, 1], N >= 2.

    Raises:
        InputError: another shape, dtype or range, or another shape of images than the reference's.
    """
    check_unit_images("samples", samples, ("N", *reference.shape))
    metrics, features, logits = reference.measure(samples)
    metrics["kid"] = kid(features, reference.features)
    if len(samples) >= 4:
        metrics["precision"], metrics["recall"] = precision_recall(features, reference.features)
    return metrics | class_shares(logits, min_confidence=CONFIDENCE)


@dataclass(frozen=True)
class Truth:
    """What imputations are compared with.

    Attributes:
        values: floats (N, C, H, W), scaled; anything where the truth is not known.
        scored: bool (N, C, H, W), True at the pixels that count: those missing whose truth is known.
        complete: whether all the truth is known.
        to_units: scaled images (..., C, H, W) to float64 in the data's units, in which errors are then given; None for
            errors of scaled values.
        levels: the truth is one of so many equally spaced values from 0 to 1, to which draws are rounded where they are
            compared in rank; None for values that are not.

    Raises:
        InputError: values or indicators of another shape or dtype, or a truth that is not finite where scored.
    """

    values: Pixels
    scored: NDArray[np.bool_]
    complete: bool = True
    to_units: Callable[[NDArray[Any]], NDArray[np.float64]] | None = None
    levels: int | None = 256

    def __post_init__(self) -> None:
        check_array("truth", self.values, ("N", "C", "H", "W"), *FLOATS)
        check_indicators("scored", self.scored, self.values, "truth")
        check_finite("truth", self.values, where=self.scored)

    def in_units(self, scaled: Pixels) -> NDArray[np.floating]:
        """Images in the units of the errors."""
        return scaled if self.to_units is None else self.to_units(scaled)


def measure_imputation(
    completed: Pixels,
    subset: NDArray[np.int64],
    draws: Pixels,
    truth: Truth,
    *,
    seed: int,
    reference: ReferenceMetrics | None = None,
    rows: NDArray[np.int64] | None = None,
) -> tuple[Metrics, NDArray[np.float64]]:
    """Metrics of N completed images, and the reliability curve of the draws.

    Args:
        completed: floats (N, C, H, W), one draw of each image, scaled.
        subset: int64 (S,), which of `completed` have several draws.
        draws: floats (S, K, C, H, W), scaled.
        truth: of the N images.
        seed: of the bootstrap.
        reference: of images with labels; None for those without.
        rows: int64 (N,), which of the reference's images these are.

    Returns:
        metrics, and float64 (B, 3) as from `ldmiss.evaluation.uncertainty.reliability`.

    Raises:
        InputError: another shape, dtype or range.
    """
    _check_imputation(completed, subset, draws, truth)
    resamples = Resamples(seed)
    of_subset = Truth(truth.values[subset], truth.scored[subset], truth.complete, truth.to_units, truth.levels)
    metrics = _errors(truth, of_subset, completed, draws, resamples, subset)
    if reference is not None:
        if rows is None:
            raise InputError("rows: None; allowed with a reference: which of its images these are")
        metrics |= _classified(reference, completed, rows)
    of_draws, curve = measure_draws(draws, of_subset)
    return metrics | of_draws, curve


def measure_draws(draws: Pixels, truth: Truth) -> tuple[Metrics, NDArray[np.float64]]:
    """Uncertainty metrics and the reliability curve of draws (S, K, C, H, W), scaled.

    No metrics for K = 1 or where no pixel is scored. All but the CRPS are of scaled values: their thresholds are.
    """
    x, y = scored_pixels(draws, truth.values, truth.scored)
    num_draws = x.shape[1]
    if num_draws < 2 or not len(y):
        return {}, reliability(x, y)
    metrics = {"crps": crps(*scored_pixels(truth.in_units(draws), truth.in_units(truth.values), truth.scored))}
    covered, share = _coverage(x, y, truth.levels)
    factor = calibration(x, y)
    metrics |= {} if covered is None else {"coverage": covered}
    metrics |= {"coverage_level": coverage_level(num_draws), "coverage_share": share}
    metrics |= {} if factor is None else {"calibration": factor}
    return metrics, reliability(x, y)


def _coverage(x: NDArray[np.float64], y: NDArray[np.float64], levels: int | None) -> tuple[float | None, float]:
    if levels is None:
        return coverage(x, y)
    highest = levels - 1
    return coverage(np.round(x * highest), np.round(y * highest), min_sd=highest * MIN_SD)


def _errors(
    truth: Truth, of_subset: Truth, completed: Pixels, draws: Pixels, resamples: Resamples, subset: NDArray[np.int64]
) -> Metrics:
    x_hat, x_draws = truth.in_units(completed), truth.in_units(draws)
    target, targets = truth.in_units(truth.values), of_subset.in_units(of_subset.values)
    weights, subset_weights = resamples.weights(len(completed)), resamples.weights(len(subset))
    of_draw, of_mean, counts = errors_of_draws_by_image(x_draws, targets, of_subset.scored)
    metrics = {
        **_mse_with_se("mse", *errors_by_image(x_hat, target, truth.scored), weights),
        **_mse_with_se("mse_draw", of_draw, counts, subset_weights),
        **_mse_with_se("mse_mean", of_mean, counts, subset_weights),
    }
    if truth.complete:
        metrics["mse_all"] = mse_all(x_hat, target)
    if truth.to_units is None:
        return metrics
    for name, x, y, scored, of_set in (
        ("", x_hat, target, truth.scored, weights),
        ("_mean", x_draws.mean(axis=1), targets, of_subset.scored, subset_weights),
    ):
        metrics |= _root(f"rmse{name}", metrics.get(f"mse{name}"), metrics.get(f"mse{name}_se"))
        metrics |= _mse_with_se(f"mae{name}", *errors_by_image(x, y, scored, absolute=True), of_set)
    return metrics


def _classified(reference: ReferenceMetrics, completed: Pixels, rows: NDArray[np.int64]) -> Metrics:
    check_unit_images("completed", completed, ("N", *reference.shape))
    check_array("rows", rows, (len(completed),), "int64")
    check_range("rows", rows, 0, len(reference.labels) - 1)
    of_sets, _, logits = reference.measure(completed)
    labels = torch.tensor(reference.labels[rows])
    right = (logits.argmax(1) == labels).double().numpy()
    weights = reference.resamples.weights(len(completed))
    share = _with_se("accuracy", accuracy(logits, labels), ratio_se(right, np.ones(len(completed)), weights))
    return {**of_sets, **share}


def _check_imputation(completed: Pixels, subset: NDArray[np.int64], draws: Pixels, truth: Truth) -> None:
    shape = truth.values.shape
    check_array("completed", completed, shape, *FLOATS)
    check_finite("completed", completed)
    check_array("subset", subset, ("S",), "int64")
    check_range("subset", subset, 0, len(completed) - 1)
    check_array("draws", draws, (len(subset), "K", *shape[1:]), *FLOATS)
    check_finite("draws", draws)


def _mse_with_se(name: str, errors: Errors, counts: Errors, weights: NDArray[np.float64]) -> Metrics:
    return _with_se(name, mse(errors, counts), ratio_se(errors, counts, weights)) if counts.any() else {}


def _root(name: str, square: float | None, se: float | None) -> Metrics:
    """The root of a mean square, with its standard error to first order."""
    if square is None:
        return {}
    root = square**0.5
    return _with_se(name, root, None if se is None or not root else se / (2 * root))


def _with_se(name: str, value: float, se: float | None) -> Metrics:
    return {name: value} if se is None else {name: value, f"{name}_se": se}
