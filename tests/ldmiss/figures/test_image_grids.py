"""Images side by side, and the table they are drawn from."""

import numpy as np
import pandas as pd

from ldmiss.figures.image_grids import draw_image_grids, image_rows


def test_image_rows() -> None:
    """One row per image, one column per pixel in reading order."""
    images = np.arange(8, dtype=np.uint8).reshape(2, 2, 2)
    rows = image_rows("ddpm", "0.5", images)
    assert rows[1] == {"panel": "ddpm", "row": "0.5", "index": 1, "p0": 4, "p1": 5, "p2": 6, "p3": 7}


def test_draw_image_grids() -> None:
    """A panel per method; in it the images side by side, a white line after each, and a labelled line per rate."""
    first, second = np.full((3, 2, 2), 7, dtype=np.uint8), np.full((3, 2, 2), 9, dtype=np.uint8)
    rows = [row for panel in "abc" for row in image_rows(panel, "0.1", first) + image_rows(panel, "0.5", second)]
    figure = draw_image_grids(pd.DataFrame(rows), num_panel_columns=2, row_title="rate")
    shown = [axis for axis in figure.axes if axis.axison]
    assert len(figure.axes) == 4  # 2 x 2, the last one empty
    assert [axis.get_title() for axis in shown] == ["a", "b", "c"]
    assert [label.get_text() for label in shown[0].get_yticklabels()] == ["0.1", "0.5"]
    picture = np.asarray(shown[0].images[0].get_array())
    line = [[7, 7, 255] * 3] * 2 + [[255] * 9]
    assert picture.tolist() == line + [[9 if value == 7 else value for value in row] for row in line]
