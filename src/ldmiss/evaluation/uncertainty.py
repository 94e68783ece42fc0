"""How honest the K draws of a stochastic imputer are: CRPS, coverage, calibration and reliability on missing pixels.

All of it rests on one fact. If the draws x_1..x_K come from the true conditional distribution of the missing pixel y,
then y and the draws are exchangeable: y is one more draw. Every measure here compares y with a draw, so that an honest
imputer scores its nominal value at any K, not only in the limit of many draws.

Float64 throughout; draws (M, K) and truth (M,) are the M missing pixels of all images (`scored_pixels`).
"""

import numpy as np
from numpy.typing import NDArray

from ldmiss.checks import check_array, check_finite
from ldmiss.errors import InputError

Values = NDArray[np.float64]

MIN_SD = 0.02
"""Predictive sd above which a pixel counts for the coverage: most MNIST pixels are background, certain and trivial."""

SD_EDGES = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, np.inf)
"""Bins of predicted sd, [lower, upper): fixed, not quantiles, so that curves of cells, seeds and imputers can be pooled
and compared bin by bin. Draws in [0, 1] have no sd above 0.71; others may, and fall into the last."""


def scored_pixels(
    draws: NDArray[np.floating], truth: NDArray[np.floating], scored: NDArray[np.bool_]
) -> tuple[Values, Values]:
    """The M scored pixels of all images: draws (N, K, ...), truth and scored (N, ...) to (M, K) and (M,)."""
    return np.moveaxis(draws, 1, -1)[scored].astype(np.float64), truth[scored].astype(np.float64)


def crps(draws: Values, truth: Values) -> float:
    """Fair continuous ranked probability score, averaged over pixels; lower is better, in units of the pixels.

    mean_k |x_k - y| - 1 / (2 K (K - 1)) sum_{k != l} |x_k - x_l|, whose expectation does not depend on K (Ferro 2014,
    "Fair scores for ensemble forecasts"). With the draws sorted, x_(1) <= ... <= x_(K), each appears
    2 k - K - 1 times net in the pairwise sum, which is thus 2 sum_k (2 k - K - 1) x_(k): O(K log K), not O(K^2).

    Args:
        draws: (M, K), K >= 2.
        truth: (M,).

    Raises:
        InputError: fewer than two draws, no pixel, another shape or dtype, or values that are not finite.
    """
    num_draws = _num_draws(draws, truth)
    net = 2 * np.arange(1, num_draws + 1) - num_draws - 1
    spread = np.sort(draws, axis=1) @ net / (num_draws * (num_draws - 1))
    return float(np.mean(np.abs(draws - truth[:, None]).mean(axis=1) - spread))


def coverage_level(num_draws: int) -> float:
    """What [min, max] of K draws nominally covers: y is neither the lowest nor the highest of K + 1, (K-1)/(K+1)."""
    return (num_draws - 1) / (num_draws + 1)


def coverage(draws: Values, truth: Values, *, min_sd: float = MIN_SD) -> tuple[float | None, float]:
    """Share of uncertain pixels whose truth lies within [min, max] of the draws, to compare with `coverage_level`.

    Ties are broken at random, in expectation: a truth equal to the lowest of the draws and to n of them is the lowest
    of the n + 1 with probability 1 / (n + 1). Without this, pixels with an atom (black background, values clipped at
    0 or 1) would be covered for free and hide under-dispersion. Draws and truth should be on the same grid of values.

    Choosing pixels by the sd of the draws favours draws that are spread out by chance, so that honest draws cover more
    than the level where pixels are nearly certain: up to 1 - 1 / K, for a pixel that is rarely lit. Coverage below the
    level is under-dispersion all the same.

    Args:
        draws: (M, K), K >= 2.
        truth: (M,).
        min_sd: only pixels with a larger sd of the draws (ddof 1) count.

    Returns:
        the coverage (None where no pixel is uncertain), and the share of all M pixels that counted.

    Raises:
        InputError: fewer than two draws, no pixel, another shape or dtype, or values that are not finite.
    """
    _num_draws(draws, truth)
    uncertain = draws.std(axis=1, ddof=1) > min_sd
    share = float(uncertain.mean())
    if not uncertain.any():
        return None, share
    x, y = draws[uncertain], truth[uncertain]
    low, high = x.min(axis=1), x.max(axis=1)
    chance_of_extreme = 1 / ((x == y[:, None]).sum(axis=1) + 1)
    outside = np.where(y <= low, np.where(y < low, 1, chance_of_extreme), 0)
    outside = outside + np.where(y >= high, np.where(y > high, 1, chance_of_extreme), 0)
    return float(1 - outside.mean()), share


def calibration(draws: Values, truth: Values) -> float | None:
    """Actual over predicted RMSE of the mean of the draws: 1 is honest, above under-dispersed, below over-dispersed.

    For exchangeable y, x_1..x_K with variance v, y and the mean of the draws are independent given the pixel, with
    variances v and v / K about the same mean: E(y - mean)^2 = (1 + 1/K) v, and the sample variance (ddof 1) is an
    unbiased v. Squares are averaged over all pixels before the root.

    Args:
        draws: (M, K), K >= 2.
        truth: (M,).

    Returns:
        None where all draws of every pixel are the same: nothing was predicted.

    Raises:
        InputError: fewer than two draws, no pixel, another shape or dtype, or values that are not finite.
    """
    num_draws = _num_draws(draws, truth)
    if (draws == draws[:, :1]).all():  # not by the variance: that of equal numbers is no exact 0
        return None
    predicted = (1 + 1 / num_draws) * draws.var(axis=1, ddof=1).mean()
    return float(np.sqrt(np.mean((truth - draws.mean(axis=1)) ** 2) / predicted))


def reliability(draws: Values, truth: Values) -> Values:
    """Actual against predicted error by predicted sd: honest draws lie on the diagonal in every bin, at any K.

    To bin by the sd of the draws and to predict from the same sd would tilt the curve of honest draws: a bin of large
    sample sd holds pixels whose sd is large by chance. So each draw in turn is left out and stands for the truth: the
    other K - 1 give the bin (by their sd) and a mean; the draw's error about that mean is the predicted one, the
    truth's the actual one. Given the others, an honest draw and the truth have the same distribution.

    Args:
        draws: (M, K).
        truth: (M,).

    Returns:
        float64 (B, 3), one row per bin of `SD_EDGES`: root mean squares of the predicted and of the actual error (NaN
        in an empty bin), and the number of (pixel, draw left out). (0, 3) for K < 3: the others then have no sd.
    """
    num_pixels, num_draws = draws.shape
    if num_draws < 3:
        return np.empty((0, 3))
    mean = draws.mean(axis=1)
    squares = draws.var(axis=1) * num_draws
    sums = np.zeros((3, len(SD_EDGES) - 1))
    for k in range(num_draws):
        deviation = draws[:, k] - mean
        left = squares - deviation**2 * num_draws / (num_draws - 1)  # sum of squares of the others about their mean
        sd = np.sqrt(np.maximum(left, 0) / (num_draws - 2))
        predicted = deviation * num_draws / (num_draws - 1)  # the draw minus the mean of the others
        actual = truth - mean + deviation / (num_draws - 1)
        bins = np.digitize(sd, SD_EDGES[1:-1])
        for row, weights in enumerate((predicted**2, actual**2, np.ones(num_pixels))):
            sums[row] += np.bincount(bins, weights, minlength=sums.shape[1])
    counts = np.where(sums[2] > 0, sums[2], np.nan)
    return np.stack([np.sqrt(sums[0] / counts), np.sqrt(sums[1] / counts), sums[2]], axis=1)


def _num_draws(draws: Values, truth: Values) -> int:
    """K of draws (M, K) that can be compared with a truth (M,)."""
    check_array("draws", draws, ("M", "K"), "float64")
    check_array("truth", truth, (len(draws),), "float64")
    check_finite("draws", draws)
    check_finite("truth", truth)
    if draws.shape[1] < 2:
        raise InputError(f"draws: {draws.shape[1]} per pixel; allowed: at least 2")
    return draws.shape[1]
