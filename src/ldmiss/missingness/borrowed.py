"""The holes of another image of the same incomplete data set: how clouds and broken sensors really look."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ldmiss.errors import InputError


def borrowed(
    images: NDArray[Any], known: NDArray[np.bool_], rate: float | None, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """An image takes the indicators of another one, its donor, as they are (DINCAE; Barth et al. 2020).

    Donors are the images that miss something but not everything; each image draws one of them, never itself, all with
    the same probability. With a rate, an image borrows with probability q = rate / r, where r is the share of the
    known pixels that is hidden in expectation when every image borrows. Nested over rates: the same donors, and
    one uniform number per image that says whether it borrows.

    Args:
        images: (N, C, H, W); not looked at.
        known: bool (N, C, H, W).
        rate: in [0, 1), of the pixels known; None: every image borrows.
        rng: the source of the 2 x N uniform numbers.

    Returns:
        keep: bool (N, C, H, W), as the donor has it, which may differ between channels; True where nothing is borrowed.

    Raises:
        InputError: no image has a hole to lend, or the rate is more than can be borrowed.
    """
    keep = known_of_donors(known, np.arange(len(known)), rng)
    borrows = rng.random(len(known))
    if keep.all():
        raise InputError(
            "mechanism: borrowed needs another image that misses some pixels, but not all, to take its hole; allowed "
            "for a data set without holes: another mechanism, as mcar or block"
        )
    if rate is None:
        return keep
    most = _most_borrowed(known)
    if rate > most:
        raise InputError(
            f"missing rate: {rate} with mechanism borrowed; allowed: at most {most:.4g}, which is what is hidden when "
            "every image borrows"
        )
    lends = borrows < (rate / most if rate else 0.0)
    return keep | ~lends[:, None, None, None]


def known_of_donors(known: NDArray[np.bool_], rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.bool_]:
    """The indicators of one donor for each of some images, another than itself; all True where there is none.

    Args:
        known: bool (N, C, H, W), of the whole data set.
        rows: int64 (M,), the images to borrow for.
        rng: the source of M uniform numbers.

    Returns:
        bool (M, C, H, W).
    """
    donors = np.flatnonzero(_is_donor(known))
    place = np.searchsorted(donors, rows)
    itself = np.isin(rows, donors)
    choices = len(donors) - itself
    chosen = np.floor(rng.random(len(rows)) * choices).astype(np.int64)
    chosen += itself & (chosen >= place)
    keep = np.ones((len(rows), *known.shape[1:]), dtype=bool)
    keep[choices > 0] = known[donors[chosen[choices > 0]]]
    return keep


def _is_donor(known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    some, every = known.any(axis=(1, 2, 3)), known.all(axis=(1, 2, 3))
    return np.logical_and(some, ~every)


def _most_borrowed(known: NDArray[np.bool_]) -> float:
    """The share of the known pixels that is hidden in expectation when every image borrows."""
    lends = _is_donor(known)
    holes = (~known[lends]).sum(axis=0)
    # A donor has one choice less; its own hole, which it may not take, covers nothing that it knows.
    by_donors = (known[lends].sum(axis=0) * holes).sum() / max(lends.sum() - 1, 1)
    by_others = (known[~lends].sum(axis=0) * holes).sum() / lends.sum()
    return float((by_donors + by_others) / known.sum())
