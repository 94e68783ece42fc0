"""One set of images to its metrics."""

import numpy as np
import pytest
import torch

from ldmiss.classifier.network import Classifier
from ldmiss.core.randomness import numpy_generator
from ldmiss.evaluation.measurement import ReferenceMetrics, measure_draws, measure_generation, measure_imputation
from ldmiss.evaluation.uncertainty import crps, missing_pixels
from ldmiss.networks.layers import build, init_torch_default

RNG = numpy_generator(0, "test measure")
IMAGES, LABELS = RNG.integers(0, 256, (40, 8, 8), dtype=np.uint8), RNG.integers(0, 10, 40)
OBSERVED = RNG.random((40, 8, 8)) < 0.5
DRAWS = ["crps", "coverage", "coverage_level", "coverage_share", "calibration"]


@pytest.fixture(scope="module")
def reference() -> ReferenceMetrics:
    classifier = build(lambda: Classifier(size=8), "cpu", init_torch_default, torch.Generator())
    return ReferenceMetrics(classifier, IMAGES, LABELS, layer="pre_relu", seed=7)


def test_the_test_images_themselves(reference: ReferenceMetrics) -> None:
    """No distance, full precision and recall; a bootstrap of them differs from them."""
    metrics = measure_generation(reference, (IMAGES / 255).astype(np.float16))
    assert metrics["fid"] == pytest.approx(0, abs=1e-4)
    assert metrics["kid"] < 1e-3
    assert (metrics["precision"], metrics["recall"]) == (1, 1)
    assert metrics["fid_se"] > 0
    assert metrics["is_se"] > 0


def test_too_few_images_for_precision(reference: ReferenceMetrics) -> None:
    """The keys are absent; nothing else is."""
    few = measure_generation(reference, (IMAGES[:3] / 255).astype(np.float16))
    assert not {"precision", "recall"} & set(few)
    assert {"fid", "kid", "is"} <= set(few)


def test_perfect_imputation(reference: ReferenceMetrics) -> None:
    """No error and none in the bootstrap; one draw has no uncertainty and no curve."""
    subset = np.array([3, 5])
    exact = (IMAGES[:10] / 255).astype(np.float16)
    metrics, curve = measure_imputation(reference, exact, np.arange(10), subset, exact[subset][:, None], OBSERVED)
    for name in ("mse", "mse_draw", "mse_mean", "mse_all"):
        assert metrics[name] == pytest.approx(0, abs=1e-6)  # float16
    assert metrics["mse_se"] == pytest.approx(0, abs=1e-7)
    assert not set(DRAWS) & set(metrics)
    assert curve.shape == (0, 3)


def test_imputation_by_draws(reference: ReferenceMetrics) -> None:
    """All keys, a curve over all (pixel, draw), and finite numbers; the same seed gives the same standard errors."""
    subset = np.arange(4)
    completed = RNG.random((10, 8, 8)).astype(np.float16)
    draws = RNG.random((4, 5, 8, 8)).astype(np.float16)
    metrics, curve = measure_imputation(reference, completed, np.arange(10), subset, draws, OBSERVED)
    assert list(metrics)[-5:] == DRAWS
    assert np.isfinite(list(metrics.values())).all()
    assert curve[:, 2].sum() == 5 * (~OBSERVED[:4]).sum()
    again = ReferenceMetrics(reference.classifier, IMAGES, LABELS, layer="pre_relu", seed=7)
    assert measure_imputation(again, completed, np.arange(10), subset, draws, OBSERVED)[0] == metrics
    other = ReferenceMetrics(reference.classifier, IMAGES, LABELS, layer="pre_relu", seed=8)
    changed = measure_imputation(other, completed, np.arange(10), subset, draws, OBSERVED)[0]
    assert {name for name in metrics if changed[name] != metrics[name]} == {n for n in metrics if n.endswith("_se")}


@pytest.mark.parametrize("num_draws", [1, 2, 4])
def test_without_missing_pixels_there_are_no_errors(reference: ReferenceMetrics, num_draws: int) -> None:
    """Their keys and those of the uncertainty are absent, never NaN; the images are measured all the same."""
    completed, draws = RNG.random((10, 8, 8)), RNG.random((4, num_draws, 8, 8))
    arguments = (reference, completed.astype(np.float16), np.arange(10), np.arange(4), draws.astype(np.float16))
    metrics, curve = measure_imputation(*arguments, np.ones_like(OBSERVED))
    assert set(metrics) == {"mse_all", "fid", "fid_se", "is", "is_se", "accuracy", "accuracy_se"}
    assert np.isfinite(list(metrics.values())).all()
    assert not curve[:, 2].any()
    in_one_image = np.ones_like(OBSERVED)
    in_one_image[7, 0, 0] = False  # which is not in every resample, and has no draws
    metrics, _ = measure_imputation(*arguments, in_one_image)
    assert {name for name in metrics if name.startswith("mse")} == {"mse", "mse_all"}
    assert np.isfinite(list(metrics.values())).all()


def test_draws_of_one_image_have_no_standard_error(reference: ReferenceMetrics) -> None:
    """All resamples of it are the same: that is no error of zero."""
    completed, draws = RNG.random((10, 8, 8)).astype(np.float16), RNG.random((1, 3, 8, 8)).astype(np.float16)
    metrics, _ = measure_imputation(reference, completed, np.arange(10), np.array([3]), draws, OBSERVED)
    assert {"mse_draw", "mse_mean", "mse_se"} <= set(metrics)
    assert not {"mse_draw_se", "mse_mean_se"} & set(metrics)
    assert np.isfinite(list(metrics.values())).all()


@pytest.mark.parametrize("images", [np.repeat(IMAGES[:1], 12, axis=0), IMAGES[:2], np.zeros((12, 8, 8), np.uint8)])
def test_degenerate_sets_have_finite_metrics(reference: ReferenceMetrics, images: np.ndarray) -> None:
    """One image many times, two images, black ones: of one class, and without any variance."""
    one_class = ReferenceMetrics(reference.classifier, images, np.zeros(len(images), int), layer="pre_relu", seed=7)
    unit = (images / 255).astype(np.float16)
    for against in (reference, one_class):
        assert np.isfinite(list(measure_generation(against, unit).values())).all()
        everything, everywhere = np.arange(len(unit)), np.zeros(against.images.shape, dtype=bool)
        draws = np.repeat(unit[:, None], 3, axis=1)
        metrics, _ = measure_imputation(against, unit, everything, everything, draws, everywhere)
        assert np.isfinite(list(metrics.values())).all()


def test_draws_are_ranked_in_8_bits() -> None:
    """A truth of 0 and draws just above it are the same black: tied, not missed. The CRPS sees the difference."""
    truth, observed = np.zeros((1, 1, 2), dtype=np.float32), np.zeros((1, 1, 2), dtype=bool)
    draws = np.array([[0.001, 0.0], [0.0015, 1.0], [1.0, 1.0]], dtype=np.float32).reshape(1, 3, 1, 2)
    metrics, _ = measure_draws(draws, truth, observed)
    assert metrics["coverage"] == pytest.approx(1 - (1 / 3 + 1 / 2) / 2)
    assert metrics["crps"] == crps(*missing_pixels(draws, truth, observed))


def test_equal_draws_have_no_coverage_and_no_calibration() -> None:
    """The keys are absent, never NaN: JSON has none."""
    truth, observed = np.ones((2, 2, 2), dtype=np.float32), np.zeros((2, 2, 2), dtype=bool)
    metrics, curve = measure_draws(np.full((2, 4, 2, 2), 0.3, dtype=np.float32), truth, observed)
    assert set(metrics) == {"crps", "coverage_level", "coverage_share"}
    assert metrics["coverage_share"] == 0
    assert curve[:, 2].tolist() == [32, *[0] * 8]
