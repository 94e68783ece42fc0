"""CRPS, coverage, calibration and reliability of draws whose law is known exactly."""

import math

import numpy as np
import pytest

from ldmiss.core.randomness import numpy_generator
from ldmiss.evaluation.uncertainty import (
    SD_EDGES,
    calibration,
    coverage,
    coverage_level,
    crps,
    reliability,
    scored_pixels,
)

NUM_PIXELS = 20_000


def pixels(num_draws: int, *, spread: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draws and truth of pixels with means and sds of their own; `spread` 1: from the same law, below: too sure."""
    rng = numpy_generator(seed)
    mean, sd = rng.random(NUM_PIXELS), rng.choice([0.04, 0.1, 0.2, 0.35], NUM_PIXELS)
    truth = mean + sd * rng.normal(size=NUM_PIXELS)
    return mean[:, None] + spread * sd[:, None] * rng.normal(size=(NUM_PIXELS, num_draws)), truth


@pytest.mark.parametrize("num_draws", [2, 3, 7])
def test_crps_against_the_double_sum(num_draws: int) -> None:
    """The sorted form is the definition, ties included."""
    rng = numpy_generator(1)
    draws, truth = np.round(rng.random((30, num_draws)), 1), np.round(rng.random(30), 1)
    expected = []
    for x, y in zip(draws, truth, strict=True):
        pairs = sum(abs(a - b) for a in x for b in x)
        expected.append(np.mean(abs(x - y)) - pairs / (2 * num_draws * (num_draws - 1)))
    assert crps(draws, truth) == pytest.approx(np.mean(expected), rel=1e-12)


@pytest.mark.parametrize("num_draws", [2, 4, 20])
def test_crps_of_gaussian_draws(num_draws: int) -> None:
    """E|x - y| - E|x - x'| / 2 = sigma / sqrt(pi) for draws from the truth's law, at any number of draws (fair)."""
    rng = numpy_generator(2)
    draws, truth = 0.3 * rng.normal(size=(NUM_PIXELS, num_draws)), 0.3 * rng.normal(size=NUM_PIXELS)
    assert crps(draws, truth) == pytest.approx(0.3 / math.sqrt(math.pi), rel=0.025)  # 3 sigma at K = 2


def test_crps_is_best_for_the_true_law() -> None:
    """Too sure and too unsure draws both score worse (a proper score)."""
    honest, sure, unsure = (crps(*pixels(8, spread=spread)) for spread in (1.0, 0.3, 2.0))
    assert honest < 0.95 * sure
    assert honest < 0.95 * unsure


@pytest.mark.parametrize("num_draws", [2, 4, 20])
def test_coverage_of_honest_draws_is_the_level(num_draws: int) -> None:
    """(K - 1) / (K + 1) at any K, within four Monte Carlo errors."""
    covered, share = coverage(*pixels(num_draws), min_sd=0.0)
    level = coverage_level(num_draws)
    assert level == pytest.approx({2: 1 / 3, 4: 3 / 5, 20: 19 / 21}[num_draws])
    assert share == 1.0
    assert covered == pytest.approx(level, abs=4 * math.sqrt(level * (1 - level) / NUM_PIXELS))


def test_coverage_and_calibration_find_draws_that_are_too_sure() -> None:
    """Draws with half and with twice the true sd."""
    for spread, factor in (
        (0.5, math.sqrt((1 + 0.25 / 10) / (0.25 * 1.1))),
        (2.0, math.sqrt((1 + 4 / 10) / (4 * 1.1))),
    ):
        draws, truth = pixels(10, spread=spread)
        covered, _ = coverage(draws, truth)
        assert covered is not None
        assert (covered < coverage_level(10) - 0.1) if spread < 1 else (covered > coverage_level(10) + 0.1)
        assert calibration(draws, truth) == pytest.approx(factor, rel=0.03)


def test_coverage_by_hand() -> None:
    """Inside, below, above; tied with one of the lowest; tied with two of the highest; and certain pixels left out."""
    draws = np.array([[0.0, 1.0, 1.0]] * 5 + [[0.5, 0.5, 0.5]])
    truth = np.array([0.5, -0.1, 1.1, 0.0, 1.0, 0.9])
    covered, share = coverage(draws, truth)
    assert covered == pytest.approx((1 + 0 + 0 + 1 / 2 + 2 / 3) / 5)
    assert share == pytest.approx(5 / 6)


def test_coverage_of_pixels_with_an_atom() -> None:
    """Black or bright: honest draws still have the level, though counting every tie as covered would give far more."""
    rng = numpy_generator(3)
    values = np.where(rng.random((NUM_PIXELS, 5)) < 0.6, 0.0, rng.random((NUM_PIXELS, 5)))
    draws, truth = values[:, 1:], values[:, 0]
    covered, _ = coverage(draws, truth, min_sd=-1.0)  # every pixel, certain ones too
    assert covered == pytest.approx(coverage_level(4), abs=0.01)
    assert np.mean((draws.min(1) <= truth) & (truth <= draws.max(1))) > coverage_level(4) + 0.1


def test_coverage_of_rarely_lit_pixels_lies_above_the_level() -> None:
    """What the choice by predictive sd does to honest draws: up to 1 - 1 / K; without it, the level."""
    values = (numpy_generator(4).random((10 * NUM_PIXELS, 5)) < 0.01).astype(float)
    covered, share = coverage(values[:, 1:], values[:, 0])
    assert covered == pytest.approx(1 - 1 / 4, abs=0.03)
    assert share == pytest.approx(1 - 0.99**4, rel=0.1)
    assert coverage(values[:, 1:], values[:, 0], min_sd=-1.0)[0] == pytest.approx(coverage_level(4), abs=0.01)


def test_no_uncertain_pixel() -> None:
    """No coverage of nothing, and a share of 0; no calibration without any predicted error."""
    draws, truth = np.full((4, 3), 0.2), np.zeros(4)
    assert coverage(draws, truth) == (None, 0.0)
    assert calibration(draws, truth) is None


@pytest.mark.parametrize("num_draws", [2, 5])
def test_calibration_of_honest_draws_is_one(num_draws: int) -> None:
    """Also for few draws, whose mean errs itself: (1 + 1/K) v."""
    assert calibration(*pixels(num_draws)) == pytest.approx(1.0, rel=0.03)


@pytest.mark.parametrize("num_draws", [3, 10])
def test_reliability_of_honest_draws_is_the_diagonal(num_draws: int) -> None:
    """In every bin, at any K; to bin and predict by the same sd would not do at K = 3."""
    draws, truth = pixels(num_draws)
    curve = reliability(draws, truth)
    assert curve.shape == (len(SD_EDGES) - 1, 3)
    assert curve[:, 2].sum() == NUM_PIXELS * num_draws
    full = curve[curve[:, 2] > 1000]
    assert len(full) >= 6
    np.testing.assert_allclose(full[:, 1], full[:, 0], rtol=0.12)  # four errors of 1,000 squares that share pixels
    if num_draws == 3:
        sd = draws.std(axis=1, ddof=1)
        top = sd > SD_EDGES[-2]
        naive = np.sqrt(np.mean((truth - draws.mean(1))[top] ** 2) / np.mean((1 + 1 / 3) * sd[top] ** 2))
        assert naive < 0.85


def test_reliability_of_sure_draws_lies_above_the_diagonal() -> None:
    """Half the true sd: the actual error exceeds the predicted one in every bin that holds pixels."""
    curve = reliability(*pixels(10, spread=0.5))
    full = curve[curve[:, 2] > 1000]
    assert (full[:, 1] > 1.3 * full[:, 0]).all()


def test_reliability_against_leaving_out_one_by_one() -> None:
    """The vectorised form is the plain loop: K - 1 draws give bin and mean; empty bins are NaN with count 0."""
    draws, truth = (values[:40] for values in pixels(4, seed=5))
    squares: dict[int, list[tuple[float, float]]] = {}
    for x, y in zip(draws, truth, strict=True):
        for k in range(4):
            others = np.delete(x, k)
            index = np.searchsorted(SD_EDGES, others.std(ddof=1), side="right") - 1
            squares.setdefault(int(index), []).append(((x[k] - others.mean()) ** 2, (y - others.mean()) ** 2))
    curve = reliability(draws, truth)
    for index, (predicted, actual, count) in enumerate(curve):
        pairs = np.array(squares.get(index, np.empty((0, 2))))
        assert count == len(pairs)
        if len(pairs):
            np.testing.assert_allclose([predicted, actual], np.sqrt(pairs.mean(axis=0)), rtol=1e-10)
        else:
            assert np.isnan([predicted, actual]).all()


def test_too_few_draws() -> None:
    """One draw says nothing about its spread, and two leave no sd when one is left out."""
    one, truth = np.zeros((5, 1)), np.zeros(5)
    for measure in (crps, coverage, calibration):
        with pytest.raises(ValueError, match="draws: 1 per pixel; allowed: at least 2"):
            measure(one, truth)
    assert reliability(one, truth).shape == reliability(np.zeros((5, 2)), truth).shape == (0, 3)


def test_scored_pixels() -> None:
    """Those of all images in reading order, float64."""
    draws = np.arange(12, dtype=np.float32).reshape(2, 3, 1, 2)
    scored = np.array([[[False, True]], [[True, True]]])
    x, y = scored_pixels(draws, np.array([[[0.1, 0.2]], [[0.3, 0.4]]], dtype=np.float32), scored)
    assert x.tolist() == [[1, 3, 5], [6, 8, 10], [7, 9, 11]]
    assert y == pytest.approx([0.2, 0.3, 0.4], rel=1e-6)
    assert x.dtype == y.dtype == np.float64
