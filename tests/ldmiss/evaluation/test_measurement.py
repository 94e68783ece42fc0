"""One set of images to its metrics."""

from typing import Any

import numpy as np
import pytest
import torch

from ldmiss.classifier.network import Classifier
from ldmiss.core.randomness import numpy_generator
from ldmiss.evaluation.measurement import Truth, measure_draws, measure_generation, measure_imputation
from ldmiss.evaluation.reference import ReferenceMetrics
from ldmiss.evaluation.uncertainty import crps, scored_pixels
from ldmiss.networks.layers import build, init_torch_default

RNG = numpy_generator(0, "test measure")
IMAGES = RNG.integers(0, 256, (40, 1, 8, 8), dtype=np.uint8) / np.float32(255)
LABELS = RNG.integers(0, 10, 40)
MISSING = RNG.random((40, 1, 8, 8)) >= 0.5
DRAWS = ["crps", "coverage", "coverage_level", "coverage_share", "calibration"]


@pytest.fixture(scope="module")
def reference() -> ReferenceMetrics:
    classifier = build(
        lambda: Classifier(shape=(1, 8, 8), num_classes=10), "cpu", init_torch_default, torch.Generator()
    )
    return ReferenceMetrics(classifier, IMAGES, LABELS, layer="pre_relu", seed=7)


def measure(
    reference: ReferenceMetrics | None, completed: Any, subset: Any, draws: Any, scored: Any = MISSING, **of_truth: Any
) -> tuple[dict[str, float], np.ndarray]:
    """The first images, compared with themselves as they really are."""
    rows = np.arange(len(completed))
    truth = Truth(IMAGES[rows], scored[rows], **of_truth)
    return measure_imputation(completed, subset, draws, truth, seed=7, reference=reference, rows=rows)


def test_the_test_images_themselves(reference: ReferenceMetrics) -> None:
    """No distance, full precision and recall; a bootstrap of them differs from them."""
    metrics = measure_generation(reference, IMAGES.astype(np.float16))
    assert metrics["fid"] == pytest.approx(0, abs=1e-4)
    assert metrics["kid"] < 1e-3
    assert (metrics["precision"], metrics["recall"]) == (1, 1)
    assert metrics["fid_se"] > 0
    assert metrics["is_se"] > 0


def test_too_few_images_for_precision(reference: ReferenceMetrics) -> None:
    """The keys are absent; nothing else is."""
    few = measure_generation(reference, IMAGES[:3].astype(np.float16))
    assert not {"precision", "recall"} & set(few)
    assert {"fid", "kid", "is"} <= set(few)


def test_perfect_imputation(reference: ReferenceMetrics) -> None:
    """No error and none in the bootstrap; one draw has no uncertainty and no curve."""
    subset = np.array([3, 5])
    exact = IMAGES[:10].astype(np.float16)
    metrics, curve = measure(reference, exact, subset, exact[subset][:, None])
    for name in ("mse", "mse_draw", "mse_mean", "mse_all"):
        assert metrics[name] == pytest.approx(0, abs=1e-6)  # float16
    assert metrics["mse_se"] == pytest.approx(0, abs=1e-7)
    assert not set(DRAWS) & set(metrics)
    assert curve.shape == (0, 3)


def test_imputation_by_draws(reference: ReferenceMetrics) -> None:
    """All keys, a curve over all (pixel, draw), and finite numbers; the same seed gives the same standard errors."""
    subset = np.arange(4)
    completed = RNG.random((10, 1, 8, 8)).astype(np.float16)
    draws = RNG.random((4, 5, 1, 8, 8)).astype(np.float16)
    metrics, curve = measure(reference, completed, subset, draws)
    assert list(metrics)[-5:] == DRAWS
    assert np.isfinite(list(metrics.values())).all()
    assert curve[:, 2].sum() == 5 * MISSING[:4].sum()
    again = ReferenceMetrics(reference.classifier, IMAGES, LABELS, layer="pre_relu", seed=7)
    assert measure(again, completed, subset, draws)[0] == metrics
    other = ReferenceMetrics(reference.classifier, IMAGES, LABELS, layer="pre_relu", seed=8)
    truth = Truth(IMAGES[:10], MISSING[:10])
    changed, _ = measure_imputation(
        completed, subset, draws, truth, seed=8, reference=other, rows=np.arange(10)
    )  # fmt: skip
    assert {name for name in metrics if changed[name] != metrics[name]} == {n for n in metrics if n.endswith("_se")}


@pytest.mark.parametrize("num_draws", [1, 2, 4])
def test_without_missing_pixels_there_are_no_errors(reference: ReferenceMetrics, num_draws: int) -> None:
    """Their keys and those of the uncertainty are absent, never NaN; the images are measured all the same."""
    completed, draws = RNG.random((10, 1, 8, 8)), RNG.random((4, num_draws, 1, 8, 8))
    arguments = (reference, completed.astype(np.float16), np.arange(4), draws.astype(np.float16))
    metrics, curve = measure(*arguments, np.zeros_like(MISSING))
    assert set(metrics) == {"mse_all", "fid", "fid_se", "is", "is_se", "accuracy", "accuracy_se"}
    assert np.isfinite(list(metrics.values())).all()
    assert not curve[:, 2].any()
    in_one_image = np.zeros_like(MISSING)
    in_one_image[7, 0, 0, 0] = True  # which is not in every resample, and has no draws
    metrics, _ = measure(*arguments, in_one_image)
    assert {name for name in metrics if name.startswith("mse")} == {"mse", "mse_all"}
    assert np.isfinite(list(metrics.values())).all()


def test_draws_of_one_image_have_no_standard_error(reference: ReferenceMetrics) -> None:
    """All resamples of it are the same: that is no error of zero."""
    completed, draws = RNG.random((10, 1, 8, 8)).astype(np.float16), RNG.random((1, 3, 1, 8, 8)).astype(np.float16)
    metrics, _ = measure(reference, completed, np.array([3]), draws)
    assert {"mse_draw", "mse_mean", "mse_se"} <= set(metrics)
    assert not {"mse_draw_se", "mse_mean_se"} & set(metrics)
    assert np.isfinite(list(metrics.values())).all()


@pytest.mark.parametrize("images", [np.repeat(IMAGES[:1], 12, axis=0), IMAGES[:2], np.zeros_like(IMAGES[:12])])
def test_degenerate_sets_have_finite_metrics(reference: ReferenceMetrics, images: np.ndarray) -> None:
    """One image many times, two images, black ones: of one class, and without any variance."""
    one_class = ReferenceMetrics(reference.classifier, images, np.zeros(len(images), int), layer="pre_relu", seed=7)
    unit = images.astype(np.float16)
    for against in (reference, one_class):
        assert np.isfinite(list(measure_generation(against, unit).values())).all()
        everything = np.arange(len(unit))
        truth = Truth(images, np.ones(images.shape, bool))
        draws = np.repeat(unit[:, None], 3, axis=1)
        metrics, _ = measure_imputation(unit, everything, draws, truth, seed=0, reference=against, rows=everything)
        assert np.isfinite(list(metrics.values())).all()


def test_draws_are_ranked_in_8_bits() -> None:
    """A truth of 0 and draws just above it are the same black: tied, not missed. The CRPS sees the difference."""
    truth = Truth(np.zeros((1, 1, 1, 2), dtype=np.float32), np.ones((1, 1, 1, 2), dtype=bool))
    draws = np.array([[0.001, 0.0], [0.0015, 1.0], [1.0, 1.0]], dtype=np.float32).reshape(1, 3, 1, 1, 2)
    metrics, _ = measure_draws(draws, truth)
    assert metrics["coverage"] == pytest.approx(1 - (1 / 3 + 1 / 2) / 2)
    assert metrics["crps"] == crps(*scored_pixels(draws, truth.values, truth.scored))


def test_equal_draws_have_no_coverage_and_no_calibration() -> None:
    """The keys are absent, never NaN: JSON has none."""
    truth = Truth(np.ones((2, 1, 2, 2), dtype=np.float32), np.ones((2, 1, 2, 2), dtype=bool))
    metrics, curve = measure_draws(np.full((2, 4, 1, 2, 2), 0.3, dtype=np.float32), truth)
    assert set(metrics) == {"crps", "coverage_level", "coverage_share"}
    assert metrics["coverage_share"] == 0
    assert curve[:, 2].tolist() == [32, *[0] * 8]


SHAPES = [(1, 8, 11), (3, 33, 20), (1, 112, 92), (2, 9, 8)]
KELVIN, OFFSET = 40.0, -13.0


def own(shape: tuple[int, int, int], seed: int = 0) -> tuple[Truth, np.ndarray, np.ndarray]:
    """Images of which a part is known, some of it hidden; completions of them and draws of five."""
    rng = np.random.default_rng(seed)
    known, observed = rng.random((12, *shape)) < 0.7, rng.random((12, *shape)) < 0.5
    values = rng.random((12, *shape), dtype=np.float32)
    draws = (values[:, None] + rng.normal(0, 0.2, (12, 5, *shape))).astype(np.float32)
    scored = known & ~observed
    truth = Truth(
        np.where(known, values, np.nan), scored, complete=False, levels=None,
        to_units=lambda x: x.astype(np.float64) * KELVIN + OFFSET,
    )  # fmt: skip
    return truth, draws[:, 0], draws[:5]


@pytest.mark.parametrize("shape", SHAPES)
def test_held_out_pixels_are_measured_in_the_units_of_the_data(shape: tuple[int, int, int]) -> None:
    """By hand, of any shape; no classifier, no error over all pixels, and finite although some truth is NaN."""
    truth, completed, draws = own(shape)
    metrics, curve = measure_imputation(completed, np.arange(5), draws, truth, seed=0)
    error = KELVIN * (completed.astype(np.float64) - truth.values)[truth.scored]
    assert metrics["rmse"] == pytest.approx(np.sqrt((error**2).mean()))
    assert metrics["mae"] == pytest.approx(np.abs(error).mean())
    assert metrics["mse"] == pytest.approx(metrics["rmse"] ** 2)
    of_mean = KELVIN * (draws.astype(np.float64).mean(1) - truth.values[:5])[truth.scored[:5]]
    assert metrics["rmse_mean"] == pytest.approx(np.sqrt((of_mean**2).mean()), rel=1e-5)
    assert metrics["mae_mean"] == pytest.approx(np.abs(of_mean).mean(), rel=1e-5)
    scaled = crps(*scored_pixels(draws, truth.values[:5], truth.scored[:5]))
    assert metrics["crps"] == pytest.approx(KELVIN * scaled)
    assert metrics["calibration"] == pytest.approx(np.sqrt(1 / (1 + 1 / 5) * 1 / 5), abs=0.1)  # the truth is their mean
    assert metrics["rmse_se"] == pytest.approx(metrics["mse_se"] / (2 * metrics["rmse"]))
    assert not {"fid", "is", "accuracy", "mse_all"} & set(metrics)
    assert np.isfinite(list(metrics.values())).all()
    assert curve[:, 2].sum() == 5 * truth.scored[:5].sum()


def test_what_is_not_scored_influences_nothing() -> None:
    """Neither the truth nor the completions there: known or not."""
    truth, completed, draws = own((2, 9, 8))
    metrics, curve = measure_imputation(completed, np.arange(5), draws, truth, seed=0)
    for value in (0, 1e6, np.inf):
        poisoned = Truth(
            np.where(truth.scored, truth.values, np.float32(value)), truth.scored, complete=False, levels=None,
            to_units=truth.to_units,
        )  # fmt: skip
        finite = min(value, 1e6)
        again, same = measure_imputation(
            np.where(truth.scored, completed, np.float32(finite)), np.arange(5),
            np.where(truth.scored[:5, None], draws, np.float32(finite)), poisoned, seed=0,
        )  # fmt: skip
        assert again == metrics
        assert np.array_equal(same, curve, equal_nan=True)
