"""Holes of `block` are rectangles of the size that the rate asks for, anywhere with the same probability."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ldmiss.core.randomness import numpy_generator
from ldmiss.missingness.blocks import MOST_STRETCHED, block

IMAGES = np.zeros((3000, 1, 13, 22), np.uint8)


def hidden(rate: float, num_blocks: int = 1) -> NDArray[np.bool_]:
    """What is missing of each image: bool (3000, 13, 22)."""
    known = np.ones(IMAGES.shape, dtype=bool)
    return ~block(IMAGES, known, rate, numpy_generator(0), num_blocks=num_blocks)[:, 0]


@pytest.mark.parametrize("rate", [0.02, 0.3, 0.5, 0.9])
def test_a_hole_is_a_rectangle(rate: float) -> None:
    """All of some rows and columns, which follow one another, from the far side on where the image ends."""
    missing = hidden(rate)
    rows, columns = missing.any(axis=2), missing.any(axis=1)
    assert (missing == rows[:, :, None] & columns[:, None, :]).all()
    for lines in (rows, columns):
        assert ((lines & ~np.roll(lines, 1, axis=1)).sum(axis=1) <= 1).all()


@pytest.mark.parametrize("num_blocks", [1, 3])
def test_every_pixel_is_missing_equally_often(num_blocks: int) -> None:
    """Those of the corners as those in the middle: the share over 3,000 images, 5 standard errors."""
    share = hidden(0.4, num_blocks).mean(axis=0)
    assert np.abs(share - 0.4).max() < 5 * (0.24 / len(IMAGES)) ** 0.5


def test_shapes_differ_and_are_not_too_long() -> None:
    """Height over width, in proportion to the image, is from 1/2 to 2 but for rounding; some are tall, some wide."""
    missing = hidden(0.4)
    height, width = missing.any(axis=2).sum(axis=1), missing.any(axis=1).sum(axis=1)
    assert ((height - 1) / 13 < MOST_STRETCHED * (width + 1) / 22).all()
    assert ((width - 1) / 22 < MOST_STRETCHED * (height + 1) / 13).all()
    assert (height / 13 > 1.7 * width / 22).any()
    assert (width / 22 > 1.7 * height / 13).any()


def test_several_blocks_are_several_holes() -> None:
    """Three blocks: most images are no longer one rectangle."""
    missing = hidden(0.3, 3)
    rectangle = (missing == missing.any(axis=2)[:, :, None] & missing.any(axis=1)[:, None, :]).all(axis=(1, 2))
    assert rectangle.mean() < 0.2
