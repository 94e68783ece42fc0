"""Errors of imputations, on the pixels that are scored or on all (paper A.3)."""

import numpy as np
from numpy.typing import NDArray

from ldmiss.checks import check_array, check_finite, check_indicators

FLOATS = ("float16", "float32", "float64")
Images = NDArray[np.float32]
Errors = NDArray[np.float64]


def errors_by_image(
    x_hat: Images, truth: Images, scored: NDArray[np.bool_], *, absolute: bool = False
) -> tuple[Errors, Errors]:
    """Sum of squared errors over the scored pixels of each image, and their number; (N, ...) to float64 (N,) each.

    Their `mse` is the error of the scored pixels; a bootstrap of images resamples the pairs. Values at other pixels are
    never looked at.

    Args:
        x_hat, truth: floats (N, ...), finite where scored.
        scored: bool (N, ...), True at the pixels that count: those missing whose truth is known.
        absolute: sum absolute errors instead.

    Raises:
        InputError: x_hat, truth or scored of another shape or dtype, or not finite.
    """
    for name, value in (("truth", truth), ("x_hat", x_hat)):
        check_array(name, value, tuple(truth.shape), *FLOATS)
    check_indicators("scored", scored, truth, "truth")
    for name, value in (("truth", truth), ("x_hat", x_hat)):
        check_finite(name, value, where=scored)
    with np.errstate(invalid="ignore", over="ignore"):  # what stands at pixels that are not scored
        errors = x_hat.astype(np.float64) - truth
        errors = np.where(scored, np.abs(errors) if absolute else errors**2, 0.0)
    of_image = tuple(range(1, truth.ndim))
    return errors.sum(axis=of_image), scored.sum(axis=of_image).astype(np.float64)


def errors_of_draws_by_image(draws: Images, truth: Images, scored: NDArray[np.bool_]) -> tuple[Errors, Errors, Errors]:
    """Squared errors of one draw (mean over the K) and of the draws' mean, and counts, as from `errors_by_image`.

    For draws from one distribution E|draw - x|^2 = E|mean - x|^2 + (1 - 1/K) variance; a method that reports its
    mean and one that reports a draw can only be compared on the same of the two.

    Args:
        draws: (N, K, C, H, W); truth and scored: (N, C, H, W).
    """
    single = [errors_by_image(draws[:, k], truth, scored)[0] for k in range(draws.shape[1])]
    mean = draws.mean(axis=1, dtype=np.float64).astype(np.promote_types(draws.dtype, np.float32))
    of_mean, counts = errors_by_image(mean, truth, scored)
    return np.mean(single, axis=0), of_mean, counts


def mse(errors: Errors, counts: Errors) -> float:
    """Mean squared error over the pixels of all images, from their sums (N,) and numbers (N,); NaN for no pixels.

    Raises:
        InputError: they are not float64 (N,).
    """
    check_array("errors", errors, ("N",), "float64")
    check_array("counts", counts, (len(errors),), "float64")
    return float(errors.sum() / counts.sum()) if counts.any() else float("nan")


def mse_all(x_hat: Images, truth: Images) -> float:
    """Mean squared error over all pixels, observed ones included."""
    return float(np.mean((x_hat.astype(np.float64) - truth) ** 2))
