"""The missing rate that was realised, against the one that was asked for."""

import math

import numpy as np
from numpy.typing import NDArray

NUM_STANDARD_ERRORS = 4
"""Further off by chance is one draw in 16,000."""
LEAST_IMAGES = 10
"""So many images must be expected to be touched, by a mechanism that hides images as a whole."""


def missing_share(observed: NDArray[np.bool_], known: NDArray[np.bool_] | None = None) -> float:
    """The share of the known pixels that is missing; observed, and known (None: all), bool (N, C, H, W)."""
    return float(1 - observed.mean()) if known is None else float(1 - observed.sum() / known.sum())


def is_off(observed: NDArray[np.bool_], rate: float, known: NDArray[np.bool_] | None = None) -> bool:
    """Whether the missing share differs from `rate` by more than sampling noise allows.

    The rule: by more than 4 standard errors of the mean over the N images, plus half a pixel of an image (a mechanism
    may round). Images are drawn independently, the pixels of one need not be: the standard deviation of what an image
    misses too much is the larger of that over the images and that of independent pixels. A rate of less than 10 whole
    images, missing or observed, is not judged: a mechanism may hide few images and much of each, so that chance may
    hide none. At rate 0 nothing may be missing.

    Args:
        observed: bool (N, C, H, W).
        rate: asked for, in [0, 1).
        known: bool (N, C, H, W), the pixels of which `rate` is a share; None: all.
    """
    num_images, num_values = len(observed), observed[0].size
    if rate == 0:
        return missing_share(observed, known) > 0
    if num_images * min(rate, 1 - rate) < LEAST_IMAGES:
        return False
    axes = (1, 2, 3)
    num_known = np.full(num_images, num_values) if known is None else known.sum(axis=axes)
    too_many = num_known - observed.sum(axis=axes) - rate * num_known
    num_pixels = num_known.sum() / observed.shape[1]  # channels go missing together
    of_pixels = observed.shape[1] * math.sqrt(rate * (1 - rate) * num_pixels / num_images)
    noise = NUM_STANDARD_ERRORS * max(float(too_many.std()), of_pixels) * math.sqrt(num_images)
    return abs(float(too_many.sum())) > noise + 0.5 * num_images * observed.shape[1]
