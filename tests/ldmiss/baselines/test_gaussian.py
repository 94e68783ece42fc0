"""The linear Gaussian: its moments from incomplete rows, and its conditional mean, against formulas."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ldmiss.baselines.averages import impute_mean
from ldmiss.baselines.gaussian import draw_gaussian, fit_gaussian, impute_gaussian, least_ridge
from ldmiss.core.randomness import numpy_generator
from ldmiss.errors import InputError
from ldmiss.fitting.baselines import fit

NAN = np.float32("nan")
MEAN = np.array([0.2, 0.5, -0.3])
COVARIANCE = np.array([[1.0, 0.6, 0.3], [0.6, 0.8, 0.1], [0.3, 0.1, 0.5]])


def incomplete(num_rows: int, rate: float) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Correlated Gaussian rows with NaN at missing entries, and which are observed."""
    rng = numpy_generator(0)
    x = rng.multivariate_normal(MEAN, COVARIANCE, size=num_rows).astype(np.float32)
    observed = rng.random(x.shape) >= rate
    return np.where(observed, x, NAN), observed


def test_fit_recovers_the_moments_from_incomplete_rows() -> None:
    """Half of 40,000 rows' entries missing, NaN in their place: mean and covariance within 5 standard errors."""
    mean, covariance = fit_gaussian(*incomplete(40_000, 0.5), ridge=0.0)
    np.testing.assert_allclose(mean, MEAN, atol=5 * (1 / 20_000) ** 0.5)
    np.testing.assert_allclose(covariance, COVARIANCE, atol=5 * (2 / 10_000) ** 0.5)  # pairs: a quarter of the rows


def test_fit_on_complete_rows_is_the_usual_one() -> None:
    """numpy's mean and covariance (ddof 0), plus the ridge on the diagonal."""
    x, observed = incomplete(50, 0.0)
    mean, covariance = fit_gaussian(x, observed, ridge=0.25)
    np.testing.assert_allclose(mean, x.mean(0, dtype=np.float64), rtol=1e-6)
    np.testing.assert_allclose(covariance, np.cov(x.T.astype(np.float64), ddof=0) + 0.25 * np.eye(3), rtol=1e-5)


def test_fit_by_hand() -> None:
    """A value never observed gets the mean of all and no covariance but the ridge."""
    x = np.array([[1, NAN, 5], [3, NAN, NAN]], dtype=np.float32)
    mean, covariance = fit_gaussian(x, ~np.isnan(x), ridge=0.5)
    np.testing.assert_allclose(mean, [2, 3, 5])
    np.testing.assert_allclose(covariance, np.diag([1.5, 0.5, 0.5]), atol=1e-12)


def test_fit_is_positive_definite_though_pairs_are_not() -> None:
    """Pairwise correlations of +1, +1 and -1 contradict each other: the eigenvalue below zero is cut."""
    x = np.array([[1, 1, NAN], [-1, -1, NAN], [NAN, 1, 1], [NAN, -1, -1], [1, NAN, -1], [-1, NAN, 1]], dtype=np.float32)
    _, covariance = fit_gaussian(x, ~np.isnan(x), ridge=0.01)
    assert np.linalg.eigvalsh(covariance).min() == pytest.approx(0.01)
    np.testing.assert_allclose(covariance, covariance.T)


def test_conditional_mean_against_the_formula() -> None:
    """mu_m + C_mo C_oo^-1 (x_o - mu_o) row by row; observed entries bit for bit; nothing observed gives the mean."""
    x, observed = incomplete(40, 0.5)
    completed = impute_gaussian(x, observed, MEAN, COVARIANCE)
    assert (completed[observed] == x[observed]).all()
    assert completed.dtype == np.float32
    for row, known, result in zip(x, observed, completed, strict=True):
        gain = COVARIANCE[np.ix_(~known, known)] @ np.linalg.inv(COVARIANCE[np.ix_(known, known)])
        np.testing.assert_allclose(
            result[~known], MEAN[~known] + gain @ (row[known] - MEAN[known]), rtol=1e-4, atol=1e-6
        )
    nothing = impute_gaussian(x[:1], np.zeros((1, 3), dtype=bool), MEAN, COVARIANCE)
    np.testing.assert_allclose(nothing[0], MEAN, rtol=1e-6)


def test_conditional_mean_is_linear_regression() -> None:
    """On complete training rows the imputation of one column is ordinary least squares on the others."""
    train, everything = incomplete(500, 0.0)
    mean, covariance = fit_gaussian(train, everything, ridge=0.0)
    design = np.column_stack([np.ones(500), train[:, :2]]).astype(np.float64)
    coefficients = np.linalg.lstsq(design, train[:, 2].astype(np.float64), rcond=None)[0]
    test = np.array([[0.3, -0.7, NAN], [2.0, 1.0, NAN]], dtype=np.float32)
    completed = impute_gaussian(test, ~np.isnan(test), mean, covariance)
    np.testing.assert_allclose(completed[:, 2], np.column_stack([np.ones(2), test[:, :2]]) @ coefficients, rtol=1e-4)


def test_conditional_mean_beats_the_mean_by_what_theory_says() -> None:
    """Mean squared error of the last column given the first two: the conditional variance, not the variance."""
    x, _ = incomplete(4000, 0.0)
    observed = np.tile([True, True, False], (4000, 1))
    hidden = np.where(observed, x, NAN)
    explained = COVARIANCE[2, :2] @ np.linalg.inv(COVARIANCE[:2, :2]) @ COVARIANCE[:2, 2]
    errors = [
        np.mean((completed[:, 2] - x[:, 2]) ** 2)
        for completed in (impute_gaussian(hidden, observed, MEAN, COVARIANCE), impute_mean(hidden, observed, MEAN))
    ]
    assert errors == pytest.approx([0.5 - explained, 0.5], rel=5 * (2 / 4000) ** 0.5)  # 5 standard errors


def test_a_singular_covariance_is_refused_in_one_line() -> None:
    """Pixels that are black in every image: without a ridge there is no conditional mean."""
    black, observed = np.zeros((4, 3), np.float32), np.tile([True, True, False], (4, 1))
    mean, covariance = fit_gaussian(black, observed, ridge=0.0)
    with pytest.raises(InputError, match="covariance: singular to rounding; fit it with a larger ridge"):
        impute_gaussian(black, observed, mean, covariance)
    assert (impute_gaussian(black, observed, *fit_gaussian(black, observed, ridge=1e-8)) == 0).all()


def test_least_ridge_keeps_half_the_pixels_of_few_images_regular(raw: dict[str, Any]) -> None:
    """48 digits span at most 48 of 784 dimensions; with the least ridge a fit is taken and imputes within reason."""
    images = torch.from_numpy(raw["train"]["images"])[:, None] / 255
    observed = torch.rand(images.shape, generator=torch.Generator().manual_seed(0)) < 0.5
    for ridge in (0.0, 1e-20):
        with pytest.raises(InputError, match=rf"ridge: {ridge} leaves the covariance of 784 pixels .*at least \d"):
            fit(images, observed, ridge=ridge)
    x, known = images.flatten(1).numpy(), observed.flatten(1).numpy()
    _, covariance = fit_gaussian(x, known, ridge=0.0)
    tensors = fit(images, observed, ridge=1.01 * least_ridge(covariance)).tensors
    completed = impute_gaussian(x, known, tensors["mean"].numpy(), tensors["covariance"].numpy())
    assert np.isfinite(completed).all()


def test_the_bound_of_the_params_is_above_every_least_ridge() -> None:
    """Few random black and white images, hardly observed: clipping negative eigenvalues raises the trace far."""
    rng = np.random.default_rng(0)
    x, observed = (rng.random((60, 784)) < 0.5).astype(np.float32), rng.random((60, 784)) < 0.1
    _, covariance = fit_gaussian(x, observed, ridge=0.0)
    assert np.trace(covariance) > 2 * 784 / 4
    assert 0 < least_ridge(covariance) < 1e-8


def test_draws_have_the_conditional_law() -> None:
    """Mean and covariance of two missing entries given the third, and no look at what stands in their place."""
    observed = np.broadcast_to([False, True, False], (20_000, 3))
    x = np.where(observed, np.float32(0.9), NAN)
    normal = numpy_generator(1).standard_normal(x.shape)
    drawn = draw_gaussian(x, observed, MEAN, COVARIANCE, normal)
    assert np.array_equal(drawn, draw_gaussian(np.where(observed, x, 7), observed, MEAN, COVARIANCE, normal))
    assert (drawn[:, 1] == np.float32(0.9)).all()
    gain = COVARIANCE[[0, 2], 1] / COVARIANCE[1, 1]
    np.testing.assert_allclose(drawn[:, [0, 2]].mean(0), MEAN[[0, 2]] + gain * 0.4, atol=0.03)
    expected = COVARIANCE[np.ix_([0, 2], [0, 2])] - np.outer(gain, COVARIANCE[1, [0, 2]])
    np.testing.assert_allclose(np.cov(drawn[:, [0, 2]].T), expected, atol=0.02)
    with pytest.raises(InputError, match="covariance: singular to rounding"):
        draw_gaussian(x, observed, MEAN, np.zeros((3, 3)), normal)
