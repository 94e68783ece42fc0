"""Which known pixels of a person's own images are hidden from everything, to be imputed and scored."""

import numpy as np
from numpy.typing import NDArray

from ldmiss.checks import check_array
from ldmiss.errors import InputError
from ldmiss.missingness.borrowed import known_of_donors
from ldmiss.missingness.completely_at_random import mcar

LEAST_BORROWED, RATE = 0.01, 0.1
"""Where holes of others would hide a smaller share of the known values than the first, this share of the pixels."""
LEAST_CORRELATION = 0.1
"""Between the indicators of neighbouring pixels, from which on holes have a shape."""


def hold_out(
    known: NDArray[np.bool_], rows: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.bool_], str]:
    """Hide known pixels of some images: by the hole of another image each, or else completely at random.

    Holes are taken as they are: the pixels that are really missing look like that. Where holes have no shape, or no
    image has one to lend, or less than 1 % of the known values would be hidden, 10 % of the pixels are, independently.
    (A second hole without a shape would only thin out what is known around every pixel, and the error would look larger
    than it is.) An image of which nothing would be left keeps all.

    Args:
        known: bool (N, C, H, W), of all images.
        rows: int64 (M,), the images to hide pixels of.
        rng: the source of all random numbers.

    Returns:
        observed, bool (M, C, H, W): what is still shown of `known[rows]`; and the mechanism, "borrowed" or "mcar".

    Raises:
        InputError: another shape or dtype, or nothing that can be hidden.
    """
    check_array("known", known, ("N", "C", "H", "W"), "bool")
    check_array("rows", rows, ("M",), "int64")
    held_out = known[rows]
    observed = _unless_all(held_out, known_of_donors(known, rows, rng))
    enough = _num_hidden(held_out, observed) >= max(LEAST_BORROWED * held_out.sum(), 1)
    if enough and neighbour_correlation(known) >= LEAST_CORRELATION:
        return observed, "borrowed"
    observed = _unless_all(held_out, mcar(held_out, held_out, RATE, rng))  # which takes of images their shape alone
    if not _num_hidden(held_out, observed):
        raise InputError(
            f"known: too few to hide any, {held_out.sum()} values of the {len(rows)} images to hold pixels out of; "
            "allowed: more images, or images with more known pixels"
        )
    return observed, "mcar"


def neighbour_correlation(known: NDArray[np.bool_]) -> float:
    """Correlation of the indicators of pixels side by side or one below the other; 0 without holes.

    0 where pixels go missing independently, towards 1 for large holes; dropped rows have 1/2. Of each image, the share
    that is known is taken off first: that images differ in it gives holes no shape.
    """
    centred = known - known.mean(axis=(1, 2, 3), keepdims=True)
    variance = float((centred**2).mean())
    if variance == 0:
        return 0.0
    sides = (centred[..., 1:] * centred[..., :-1], centred[..., 1:, :] * centred[..., :-1, :])
    return float(np.mean([side.mean() for side in sides])) / variance


def _unless_all(held_out: NDArray[np.bool_], keep: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What is known and kept; in images where that is nothing, what is known."""
    observed = held_out & keep
    return np.where(observed.any(axis=(1, 2, 3), keepdims=True), observed, held_out)


def _num_hidden(held_out: NDArray[np.bool_], observed: NDArray[np.bool_]) -> int:
    return int(held_out.sum() - observed.sum())
