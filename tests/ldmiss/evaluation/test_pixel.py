"""Squared errors of imputations."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from ldmiss.core.randomness import numpy_generator
from ldmiss.evaluation.pixel import Images, errors_by_image, errors_of_draws_by_image, mse, mse_all

TRUTH = np.array([[[0.0, 0.5], [1.0, 0.25]], [[0.0, 0.0], [0.0, 0.0]]], dtype=np.float32)
OBSERVED = np.array([[[True, False], [False, True]], [[True, True], [True, False]]])


def mse_of_draws(draws: Images, truth: Images, observed: NDArray[np.bool_]) -> tuple[float, float]:
    """Squared errors of one draw, and of the mean of the draws."""
    of_draw, of_mean, counts = errors_of_draws_by_image(draws, truth, ~observed)
    return mse(of_draw, counts), mse(of_mean, counts)


def test_mse_by_hand() -> None:
    """Over missing pixels of all images together (not per image), and over all pixels."""
    x_hat = TRUTH.copy()
    x_hat[0, 0, 0] = 1.0  # observed: counts for mse_all only
    x_hat[0, 0, 1] = 0.0
    x_hat[1, 1, 1] = 1.0
    errors, counts = errors_by_image(x_hat, TRUTH, ~OBSERVED)
    assert (errors.tolist(), counts.tolist()) == ([0.25, 1], [2, 1])
    assert mse(errors, counts) == pytest.approx((0.25 + 0 + 1) / 3)
    assert mse_all(x_hat, TRUTH) == pytest.approx((1 + 0.25 + 1) / 8)


def test_nothing_missing_is_nan() -> None:
    """An error over no pixels is no number, and no warning."""
    assert math.isnan(mse(*errors_by_image(TRUTH, TRUTH, np.zeros_like(OBSERVED))))


def test_mse_of_draws_by_hand() -> None:
    """Two draws 0 and 1 of a pixel whose truth is 1: one draw errs by 1/2 on average, their mean by 1/4."""
    draws = np.array([0.0, 1.0], dtype=np.float32).reshape(1, 2, 1, 1)
    one, no = np.ones((1, 1, 1), dtype=np.float32), np.zeros((1, 1, 1), dtype=bool)
    assert mse_of_draws(draws, one, no) == (0.5, 0.25)


def test_errors_of_draws_and_of_their_mean_differ_by_the_variance() -> None:
    """E|draw - x|^2 = E|mean - x|^2 + (1 - 1/K) variance, exactly, with the unbiased variance over K draws."""
    rng = numpy_generator(0)
    truth, observed = rng.random((20, 5, 5), dtype=np.float32), rng.random((20, 5, 5)) < 0.5
    draws = rng.random((20, 4, 5, 5), dtype=np.float32)
    mse_draw, mse_mean = mse_of_draws(draws, truth, observed)
    variance = draws.astype(np.float64).var(axis=1, ddof=1)[~observed].mean()
    assert mse_draw == pytest.approx(mse_mean + (1 - 1 / 4) * variance, rel=1e-5)
    assert mse_of_draws(draws[:, :1], truth, observed)[0] == mse_of_draws(draws[:, :1], truth, observed)[1]


def test_posterior_draws_err_twice_as_much_as_their_mean() -> None:
    """Truth and draws from one law: one draw errs by 2 Var, the mean of many by Var."""
    rng = numpy_generator(1)
    truth, draws = rng.normal(size=(50, 20, 20)), rng.normal(size=(50, 50, 20, 20))
    nothing = np.zeros(truth.shape, dtype=bool)
    mse_draw, mse_mean = mse_of_draws(draws.astype(np.float32), truth.astype(np.float32), nothing)
    assert (mse_draw, mse_mean) == pytest.approx((2.0, 1.02), rel=0.05)  # 5 standard errors of 20,000 pixels


def test_absolute_errors_and_what_is_not_scored() -> None:
    """The sum of absolute errors; NaN and infinity at pixels that do not count change nothing."""
    truth = np.array([[[1.0, np.nan]], [[np.inf, -2.0]]])
    x_hat, scored = np.array([[[3.0, 1.0]], [[7.0, -2.5]]]), np.array([[[True, False]], [[False, True]]])
    assert [values.tolist() for values in errors_by_image(x_hat, truth, scored, absolute=True)] == [[2, 0.5], [1, 1]]
    assert errors_by_image(x_hat, truth, scored)[0].tolist() == [4, 0.25]
