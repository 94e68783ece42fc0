"""The sheet of completed images: any number of channels, any shape, and missing pixels in a colour of their own."""

import io

import numpy as np
import pytest
from matplotlib.image import imread

from ldmiss.figures.completed import _MISSING_COLOUR, draw_completed
from ldmiss.figures.style import render

SHAPES = [(1, 8, 11), (3, 33, 20), (2, 9, 30)]


def images(shape: tuple[int, int, int]) -> tuple[np.ndarray, ...]:
    """Four images in degrees, a block of each missing, completed, with a deviation there."""
    rng = np.random.default_rng(0)
    completed = rng.normal(-40, 9, (4, *shape))
    observed = np.ones(completed.shape, bool)
    observed[..., 2:5, 3:7] = False
    return np.where(observed, completed, np.nan), observed, completed, np.where(observed, 0, 2).astype(np.float32)


def drawn(shape: tuple[int, int, int]) -> np.ndarray:
    """The sheet as a picture, (H, W, 4) from 0 to 1."""
    png = render(draw_completed(*images(shape), list("abcd")), "png")
    assert png == render(draw_completed(*images(shape), list("abcd")), "png")
    return np.asarray(imread(io.BytesIO(png)))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_sheet_of_images_of_any_shape(shape: tuple[int, int, int]) -> None:
    """Missing pixels are marked in the row of the observed images alone, where the truth (NaN) is not looked at."""
    picture = drawn(shape)
    marked = np.abs(picture[..., :3] - _MISSING_COLOUR).max(axis=-1) < 0.01
    rows = np.flatnonzero(marked.any(axis=1))
    assert len(rows)
    assert rows.max() < len(picture) / 2


def test_without_a_deviation() -> None:
    """A single draw has none, and no row of it."""
    values, observed, completed, sd = images((1, 8, 11))
    with_row, without = (draw_completed(values, observed, completed, x, list("abcd")) for x in (sd, 0 * sd))
    assert render(without, "png")
    assert len(with_row.axes) - len(without.axes) == 4 + 1  # and no bar
