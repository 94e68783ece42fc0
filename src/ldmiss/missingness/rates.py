"""The missing rate that was realised, against the one that was asked for."""

import math

import numpy as np
from numpy.typing import NDArray

NUM_STANDARD_ERRORS = 4
"""Further off by chance is one draw in 16,000."""


def missing_share(observed: NDArray[np.bool_]) -> float:
    """The share of all pixels that is missing; observed bool (N, H, W)."""
    return float(1 - observed.mean())


def is_off(observed: NDArray[np.bool_], rate: float) -> bool:
    """Whether the missing share differs from `rate` by more than sampling noise allows.

    The rule: by more than 4 standard errors of the mean over the N images, plus half a pixel of an image (a mechanism
    may round). Images are drawn independently, the pixels of one need not be: the standard deviation of an image's
    share is the larger of that over the images and that of independent pixels.

    Args:
        observed: bool (N, H, W).
        rate: asked for, in [0, 1).
    """
    num_images, num_pixels = len(observed), observed[0].size
    of_images = float(observed.mean(axis=(1, 2)).std())
    of_pixels = math.sqrt(rate * (1 - rate) / num_pixels)
    noise = NUM_STANDARD_ERRORS * max(of_images, of_pixels) / math.sqrt(num_images)
    return abs(missing_share(observed) - rate) > noise + 0.5 / num_pixels
