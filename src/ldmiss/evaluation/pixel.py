"""Pixel metrics of imputations: squared errors in [0, 1] units on missing or all pixels (paper A.3)."""

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.float32]


def mse_missing(x_hat: Images, truth: Images, observed: NDArray[np.bool_]) -> float:
    """Mean squared error over the missing pixels of all images, (N, H, W) each; NaN where none is missing."""
    missing = ~observed
    if not missing.any():
        return float("nan")
    return float(np.mean((x_hat[missing].astype(np.float64) - truth[missing]) ** 2))


def mse_all(x_hat: Images, truth: Images) -> float:
    """Mean squared error over all pixels, observed ones included."""
    return float(np.mean((x_hat.astype(np.float64) - truth) ** 2))


def mse_of_draws(draws: Images, truth: Images, observed: NDArray[np.bool_]) -> tuple[float, float]:
    """(mse_draw, mse_mean) on missing pixels: of one draw, averaged over the K draws, and of the draws' mean.

    For draws from one distribution E|draw - x|^2 = E|mean - x|^2 + (1 - 1/K) variance; a method that reports its
    mean and one that reports a draw can only be compared on the same of the two.

    Args:
        draws: (N, K, H, W); truth and observed: (N, H, W).
    """
    single = [mse_missing(draws[:, k], truth, observed) for k in range(draws.shape[1])]
    return float(np.mean(single)), mse_missing(draws.mean(axis=1, dtype=np.float64).astype(np.float32), truth, observed)
