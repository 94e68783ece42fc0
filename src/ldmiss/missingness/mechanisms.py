"""Missingness mechanisms: which pixels of a complete image are observed (numpy only).

`observed` is True where the value is known (the paper's m = 1, section 4).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ldmiss.checks import check_array, check_choice, check_observed
from ldmiss.errors import InputError

Mechanism = Callable[[NDArray[np.uint8], float, np.random.Generator], NDArray[np.bool_]]


def mcar(images: NDArray[np.uint8], rate: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Missing completely at random: each pixel is missing with probability `rate`, independently (paper, A.2.3).

    One uniform number is drawn per pixel whatever the rate, so that with the same generator the missing pixels at a
    lower rate are a subset of those at a higher one: rates are compared on the same random numbers.

    Args:
        images: uint8 (N, H, W).
        rate: in [0, 1).
        rng: the source of the N x H x W uniform numbers.

    Returns:
        observed: bool (N, H, W).
    """
    return rng.random(images.shape) >= rate


MECHANISMS: dict[str, Mechanism] = {"mcar": mcar}
"""The mechanisms by name. To add one: a function with the signature of `mcar`, and its line here."""


def draw_observed(
    mechanism: str, images: NDArray[np.uint8], rate: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Draw the observed-indicators of `images`, uint8 (N, H, W), with the named mechanism: bool (N, H, W).

    Raises:
        InputError: unknown mechanism, a rate outside [0, 1), or images, or indicators of the mechanism, of another
            shape or dtype.
    """
    check_choice("mechanism", mechanism, MECHANISMS)
    check_array("images", images, ("N", "H", "W"), "uint8")
    if not 0.0 <= rate < 1.0:
        raise InputError(f"missing rate: {rate} is outside [0, 1)")
    observed = MECHANISMS[mechanism](images, rate, rng)
    check_observed(observed, images, "images")
    return observed


def remove_missing(images: NDArray[np.uint8], observed: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Zero-impute: the images with 0 wherever they are not observed, so that the truth there goes no further.

    Args and result: uint8 (N, H, W), bool (N, H, W) -> uint8 (N, H, W).

    Raises:
        InputError: another shape or dtype.
    """
    check_array("images", images, ("N", "H", "W"), "uint8")
    check_observed(observed, images, "images")
    return np.where(observed, images, np.uint8(0))
