"""Baselines nobody should omit: pixel mean, neighbour average and the linear Gaussian conditional mean (numpy).

At 50 % missing the Gaussian comes within a few per cent of published deep imputers (METHODS sections 0 and 7);
without these an MSE axis cannot be read. All take and give images in [0, 1], float64 inside.
"""

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

Images = NDArray[np.float32]
Indicators = NDArray[np.bool_]
Moments = NDArray[np.float64]

_OFFSETS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]


def fit_gaussian(x: Images, observed: Indicators, *, ridge: float) -> tuple[Moments, Moments]:
    """Mean (d,) and covariance (d, d) of incomplete rows, from the entries observed (in pairs).

    Pairwise covariances need not form a positive semi-definite matrix; negative eigenvalues are set to zero, and
    `ridge` (in pixel variance) is added to the diagonal. A pixel never observed gets mean 0.

    Args:
        x: float32 (N, d), anything at missing entries.
        observed: bool (N, d).
        ridge: >= 0.
    """
    known = observed.astype(np.float64)
    mean = np.where(observed, x, 0).sum(0, dtype=np.float64) / np.maximum(known.sum(0), 1)
    centred = np.where(observed, x - mean, 0.0)
    covariance = (centred.T @ centred) / np.maximum(known.T @ known, 1)
    eigenvalues, vectors = scipy.linalg.eigh(covariance)
    covariance = (vectors * np.maximum(eigenvalues, 0)) @ vectors.T
    return mean, covariance + ridge * np.eye(len(mean))


def impute_gaussian(x: Images, observed: Indicators, mean: Moments, covariance: Moments) -> Images:
    """Conditional mean of the missing given the observed entries of each row; float32 (N, d)."""
    completed = np.empty_like(x)
    for i, known in enumerate(observed):
        deviation = x[i, known] - mean[known]
        weights = (
            scipy.linalg.solve(covariance[np.ix_(known, known)], deviation, assume_a="pos")
            if known.any()
            else deviation
        )
        completed[i] = mean + covariance[:, known] @ weights
    return np.where(observed, x, completed)


def impute_mean(x: Images, observed: Indicators, mean: Moments) -> Images:
    """The training mean of each pixel; float32 (N, d)."""
    return np.where(observed, x, mean.astype(np.float32))


def impute_neighbours(x: Images, observed: Indicators) -> Images:
    """Average of the known among the 8 neighbours, repeated with the newly filled as known until all are.

    No training. An image with nothing observed stays 0.

    Args:
        x: float32 (N, H, W).
        observed: bool (N, H, W).
    """
    values = np.where(observed, x, np.float32(0))
    known = observed.copy()
    while True:
        value_sum, count = _sum_of_neighbours(values), _sum_of_neighbours(known.astype(np.float32))
        newly = ~known & (count > 0)
        if not newly.any():
            return values
        values = np.where(newly, value_sum / np.maximum(count, 1), values)
        known = known | newly


def _sum_of_neighbours(x: Images) -> Images:
    height, width = x.shape[1:]
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    shifted = (padded[:, 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width] for dy, dx in _OFFSETS)
    return np.sum(list(shifted), axis=0)
