"""Held-out pixels: holes of other images where there are any, else single pixels; some of each image always stay."""

from typing import Any

import numpy as np
import pytest
from support.image_sets import SETS

from ldmiss.core.randomness import numpy_generator
from ldmiss.errors import InputError
from ldmiss.missingness.hold_out import hold_out, neighbour_correlation
from ldmiss.missingness.mechanisms import draw_observed

_, KNOWN = SETS["holed"]
ROWS = np.array([2, 9, 30, 33])
"""Two with holes, the one missing altogether, a complete one."""


def test_holes_of_others_are_taken_as_they_are() -> None:
    """What is hidden of each image is the hole of one other, where it was known."""
    observed, mechanism = hold_out(KNOWN, ROWS, numpy_generator(0))
    assert mechanism == "borrowed"
    for row, shown in zip(ROWS, observed, strict=True):
        assert any((shown == KNOWN[row] & KNOWN[donor]).all() for donor in range(30) if donor != row)
    assert (observed[[0, 1, 3]] != KNOWN[ROWS[[0, 1, 3]]]).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize("hole", ["none", "too small", "the same in all", "without a shape"])
def test_else_a_tenth_of_the_known_pixels(hole: str) -> None:
    """Nothing to borrow, too little, nothing that it would hide, or no shape: 10 %, whole pixels, 5 standard errors."""
    known = np.ones((100, 3, 20, 20), dtype=bool)
    if hole == "without a shape":
        known &= numpy_generator(1).random((100, 1, 20, 20)) < 0.5
    elif hole != "none":
        known[:: 1 if hole == "the same in all" else 50, :, 4, 4] = False
    observed, mechanism = hold_out(known, np.arange(60), numpy_generator(0))
    assert mechanism == "mcar"
    assert not (observed & ~known[:60]).any()
    hidden = (known[:60] & ~observed)[known[:60]].reshape(-1)
    assert hidden.mean() == pytest.approx(0.1, abs=5 * (0.09 * 3 / hidden.size) ** 0.5)
    assert (observed == observed[:, :1]).all()


@pytest.mark.parametrize(
    ("mechanism", "low", "high"),
    [("mcar", -0.02, 0.02), ("rows", 0.44, 0.5), ("columns", 0.44, 0.5), ("block", 0.7, 0.95)],
)
def test_correlation_of_neighbours(mechanism: str, low: float, high: float) -> None:
    """None of single pixels, half of lines, nearly all of blocks; none without holes, or with nothing else."""
    images = np.zeros((300, 1, 30, 20), np.uint8)
    rates = (0.2, 0.6) if mechanism == "mcar" else (0.4, 0.4)  # that images differ is no shape
    known = np.concatenate([draw_observed(mechanism, images, rate, numpy_generator(0)) for rate in rates])
    assert low < neighbour_correlation(known) < high
    assert neighbour_correlation(np.ones_like(known)) == neighbour_correlation(np.zeros_like(known)) == 0


def test_an_image_is_never_hidden_altogether() -> None:
    """Two halves that would hide each other keep all they have; a complete image loses one half."""
    known = np.ones((3, 1, 8, 8), dtype=bool)
    known[0, :, :4], known[1, :, 4:] = False, False
    observed, mechanism = hold_out(known, np.arange(3), numpy_generator(0))
    assert mechanism == "borrowed"
    assert (observed[:2] == known[:2]).all()
    assert observed[2].sum() == 32


def test_single_known_pixels_stay() -> None:
    """Of 500 images with one known pixel none is hidden; of a complete one some are."""
    known = np.zeros((501, 1, 8, 8), dtype=bool)
    known[:500, :, 3, 3] = True
    known[500] = True
    observed, mechanism = hold_out(known, np.arange(501), numpy_generator(0))
    assert (observed[:500] == known[:500]).all()
    assert mechanism == "mcar"
    assert 0 < observed[500].sum() < 64


REFUSED: list[tuple[str, Any, Any]] = [
    ("known: too few to hide any, 1 values of the 1 images", np.arange(64).reshape(1, 1, 8, 8) == 0, np.array([0])),
    ("known: bool (8, 8); allowed: bool (N, C, H, W)", np.ones((8, 8), bool), np.array([0])),
    ("rows: float64 (1,); allowed: int64 (M,)", np.ones((1, 1, 8, 8), bool), np.array([0.0])),
]


@pytest.mark.parametrize(("message", "known", "rows"), REFUSED)
def test_refused_in_one_line(message: str, known: Any, rows: Any) -> None:
    """Nothing that can be hidden, and other shapes and dtypes."""
    with pytest.raises(InputError) as refusal:
        hold_out(known, rows, numpy_generator(0))
    assert str(refusal.value).startswith(message)
