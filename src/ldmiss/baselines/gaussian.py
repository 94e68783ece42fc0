"""The linear Gaussian: mean and covariance of incomplete rows, and the conditional mean as an imputer (numpy).

At 50 % missing the Gaussian comes within a few per cent of published deep imputers (docs/claims.md);
without these an MSE axis cannot be read. Rows are of scaled values, float64 inside.
"""

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from ldmiss.errors import InputError

Images = NDArray[np.float32]
Indicators = NDArray[np.bool_]
Moments = NDArray[np.float64]

MOST_VALUES = 4096
"""Values per image up to which there is a Gaussian; the eigenvalues of so large a covariance take about a minute."""

_SINGULAR = "covariance: singular to rounding; fit it with a larger ridge"


def observed_mean(x: Images, observed: Indicators) -> Moments:
    """Mean of the observed entries of each column, float64 (d,); that of all for a column never observed."""
    sums, counts = np.where(observed, x, 0).sum(0, dtype=np.float64), observed.sum(0, dtype=np.float64)
    return np.where(counts > 0, sums / np.maximum(counts, 1), sums.sum() / max(counts.sum(), 1))


def fit_gaussian(x: Images, observed: Indicators, *, ridge: float) -> tuple[Moments, Moments]:
    """Mean (d,) and covariance (d, d) of incomplete rows, from the entries observed (in pairs).

    Pairwise covariances need not form a positive semi-definite matrix; negative eigenvalues are set to zero, and
    `ridge` (in pixel variance) is added to the diagonal. A value never observed gets the mean of all.

    Args:
        x: float32 (N, d), anything at missing entries.
        observed: bool (N, d).
        ridge: >= 0; below `least_ridge` the covariance may be singular, and of no use to `impute_gaussian`.
    """
    indicators = observed.astype(np.float64)
    mean = observed_mean(x, observed)
    centred = np.where(observed, x - mean, 0.0)
    covariance = (centred.T @ centred) / np.maximum(indicators.T @ indicators, 1)
    eigenvalues, vectors = scipy.linalg.eigh(covariance)
    covariance = (vectors * np.maximum(eigenvalues, 0)) @ vectors.T
    return mean, covariance + ridge * np.eye(len(mean))


def least_ridge(covariance: Moments) -> float:
    """The ridge that keeps a covariance (d, d) regular in float64: d times its trace, times the rounding of a number.

    The largest eigenvalue is at most the trace, and eigenvalues are known to about d times its rounding.
    """
    return float(len(covariance) * np.trace(covariance) * np.finfo(np.float64).eps)


def impute_gaussian(x: Images, observed: Indicators, mean: Moments, covariance: Moments) -> Images:
    """Conditional mean of the missing given the observed entries of each row; float32 (N, d).

    Raises:
        InputError: the covariance is singular to rounding.
    """
    completed = np.empty_like(x)
    for i, of_row in enumerate(observed):
        deviation = x[i, of_row] - mean[of_row]
        try:
            weights = (
                scipy.linalg.solve(covariance[np.ix_(of_row, of_row)], deviation, assume_a="pos")
                if of_row.any()
                else deviation
            )
        except np.linalg.LinAlgError:
            raise InputError(_SINGULAR) from None
        completed[i] = mean + covariance[:, of_row] @ weights
    return np.where(observed, x, completed)


def draw_gaussian(
    x: Images, observed: Indicators, mean: Moments, covariance: Moments, normal: NDArray[np.floating]
) -> Images:
    """A draw of the missing given the observed entries of each row, by standard `normal` ones; all (N, d), float32.

    By Matheron's rule: a draw of whole rows, moved by the conditional mean of what it misses.

    Raises:
        InputError: the covariance is singular to rounding.
    """
    try:
        drawn = mean + normal @ scipy.linalg.cholesky(covariance, lower=True).T
    except np.linalg.LinAlgError:
        raise InputError(_SINGULAR) from None
    missed = np.where(observed, x - drawn, 0) + mean
    moved = drawn + impute_gaussian(missed.astype(np.float32), observed, mean, covariance) - mean
    return np.where(observed, x, moved).astype(np.float32)
