"""Grids of images: generated (Figure 2) and imputed ones (Figure 4), each drawn from a table of pixels.

One channel is shown in grey and three in colour; of any other number the first is, and the titles say so.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ldmiss.figures.style import ONE_COLUMN, TWO_COLUMNS, display_name, figure_style

MISSING_GREY = 110
"""How a value that is missing, or a truth that nobody knows, is shown."""
_LABEL_SIZE = 6
"""Of row labels, points: two lines fit beside an image."""
_LETTER, _LABEL_GAP, _GAP, _TITLE = 0.051, 0.07, 0.06, 0.22
"""Inches: the width of a label's letter, gaps between labels and images and around panels, the height of a title."""
_LARGEST, _LEAST_ROW = 1.2, 0.19
"""Inches: the longer side of an image at most, where few stand in a row; and the height of a row at least, with space
below images that are far wider than high: room for two lines of a label."""

_NARROW = 2.0
"""Inches: a title is wider than a panel of less, and begins at its left edge."""

Panel = tuple[NDArray[np.uint8], list[str]]
"""The picture of a panel, rows of images below each other, (H, W) or (H, W, 3), and the labels of these rows."""
Shape = tuple[int, int, int]
"""Channels, height and width of an image."""


def image_rows(panel: str, row: str, images: NDArray[np.uint8]) -> pd.DataFrame:
    """Table rows, one per image of uint8 (N, C, H, W).

    Columns panel, row, index, then one per value, in reading order and channel by channel.
    """
    values = images.reshape(len(images), -1)
    pixels = pd.DataFrame(values, columns=[f"p{i}" for i in range(values.shape[1])])
    labels = pd.DataFrame({"panel": panel, "row": row, "index": range(len(images))})
    return pd.concat([labels, pixels], axis=1)


@figure_style()
def draw_image_grids(table: pd.DataFrame, shape: Shape, *, num_panel_columns: int, row_title: str = "") -> Figure:
    """One panel per value of `panel`, each with one row of images per value of `row`, in the table's order.

    Args:
        table: as made of `image_rows`, all panels with the same number of images per row.
        shape: (C, H, W) of an image.
        num_panel_columns: panels side by side, each as wide as a column of a paper.
        row_title: what the row labels are.
    """
    channels, image_height, image_width = shape
    columns = min(num_panel_columns, table["panel"].nunique())
    width = ONE_COLUMN if columns == 1 else TWO_COLUMNS
    lines = [line for label in table["row"].unique() for line in _row_label(label).split("\n")]
    left = max(map(len, lines)) * _LETTER + _LABEL_GAP + _GAP
    margin = 2 * _GAP + 0.1 * len(row_title.split("\n")) if row_title else 0.0
    per_row = int(table["index"].max()) + 1
    inch = ((width - margin) / columns - left - _GAP) / (per_row * (image_width + 1))
    inch = min(inch, _LARGEST / max(image_height, image_width))
    below = max(1, math.ceil(_LEAST_ROW / inch) - image_height)
    panels = {str(panel): _montage(rows, shape, below) for panel, rows in table.groupby("panel", sort=False)}
    heights = [inch * picture.shape[0] + _TITLE for picture, _ in panels.values()]
    tops = np.cumsum([0.0, *(max(heights[i : i + columns]) + _GAP for i in range(0, len(panels), columns))])
    figure = Figure(figsize=(width, tops[-1]))
    for place, (panel, (picture, labels)) in enumerate(panels.items()):
        x = margin + place % columns * (width - margin) / columns + left
        y = tops[-1] - tops[place // columns] - heights[place]
        box = (x / width, y / tops[-1], inch * picture.shape[1] / width, inch * picture.shape[0] / tops[-1])
        of_channels = "" if channels in (1, 3) else f", channel 1 of {channels}"
        axis = figure.add_axes(box)
        axis.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest", aspect="auto")
        narrow = inch * picture.shape[1] < _NARROW
        _label(axis, labels, image_height, below, title=f"{display_name(panel)}{of_channels}", narrow=narrow)
    figure.text(_GAP / width, 0.5, row_title, rotation=90, va="center", ha="left", multialignment="center")
    return figure


def _label(axis: Axes, labels: Sequence[str], image_height: int, below: int, *, title: str, narrow: bool) -> None:
    """A title, and a label beside the middle of each row of images."""
    middles = [i * (image_height + below) + (image_height - 1) / 2 for i in range(len(labels))]
    axis.set_title(title, loc="left" if narrow else "center")
    axis.set_xticks([])
    axis.set_yticks(middles, [_row_label(label) for label in labels])
    axis.tick_params(length=0, labelsize=_LABEL_SIZE)
    axis.spines[:].set_visible(False)


def _row_label(label: str) -> str:
    """A method's name, or the label as it is, in lines as short as can be."""
    return display_name(label).replace(", ", ",\n")


def _montage(rows: pd.DataFrame, shape: Shape, below: int) -> Panel:
    """Images side by side per row label, white between them: one pixel to the right of each and `below` below."""
    labels = list(dict.fromkeys(rows["row"]))
    images = rows.filter(regex=r"^p\d").to_numpy(np.uint8).reshape(-1, *shape)
    images = np.moveaxis(images if shape[0] == 3 else images[:, :1], 1, -1)
    tiles = np.pad(images, ((0, 0), (0, below), (0, 1), (0, 0)), constant_values=255)
    picture = np.vstack([np.hstack(list(tiles[(rows["row"] == label).to_numpy()])) for label in labels])
    return picture.squeeze(-1) if picture.shape[-1] == 1 else picture, labels
