"""Pixel metrics of imputations: squared errors in [0, 1] units on missing or all pixels (paper A.3)."""

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.float32]
Errors = NDArray[np.float64]


def mse_missing(x_hat: Images, truth: Images, observed: NDArray[np.bool_]) -> float:
    """Mean squared error over the missing pixels of all images, (N, H, W) each; NaN where none is missing."""
    missing = ~observed
    if not missing.any():
        return float("nan")
    return float(np.mean((x_hat[missing].astype(np.float64) - truth[missing]) ** 2))


def errors_by_image(x_hat: Images, truth: Images, observed: NDArray[np.bool_]) -> tuple[Errors, Errors]:
    """Sum of squared errors over the missing pixels of each image, and their number; (N, H, W) to float64 (N,) each.

    The sum of the first over the sum of the second is `mse_missing`; a bootstrap of images resamples the pairs.
    """
    squares = np.where(observed, 0.0, (x_hat.astype(np.float64) - truth) ** 2)
    return squares.sum(axis=(1, 2)), (~observed).sum(axis=(1, 2)).astype(np.float64)


def errors_of_draws_by_image(
    draws: Images, truth: Images, observed: NDArray[np.bool_]
) -> tuple[Errors, Errors, Errors]:
    """What `mse_of_draws` is the ratio of, by image: squared errors of one draw (mean over K), of the mean, and counts.

    Args:
        draws: (N, K, H, W); truth and observed: (N, H, W).
    """
    single = [errors_by_image(draws[:, k], truth, observed)[0] for k in range(draws.shape[1])]
    mean = draws.mean(axis=1, dtype=np.float64).astype(np.float32)
    of_mean, counts = errors_by_image(mean, truth, observed)
    return np.mean(single, axis=0), of_mean, counts


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
    of_draw, of_mean, counts = errors_of_draws_by_image(draws, truth, observed)
    if not counts.any():
        return float("nan"), float("nan")
    return float(of_draw.sum() / counts.sum()), float(of_mean.sum() / counts.sum())
