"""Grids of images: generated (Figure 2) and imputed digits (Figure 4), each drawn from a table of pixels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ldmiss.figures.style import ONE_COLUMN, TWO_COLUMNS, display_name, figure_style

MISSING_GREY = 110
"""How a missing pixel is shown in the row of observed images."""
_LABEL_SIZE = 6
"""Of row labels, points: two lines fit beside an image."""
_LETTER, _LABEL_GAP, _GAP, _TITLE = 0.051, 0.07, 0.06, 0.22
"""Inches: the width of a label's letter, gaps between labels and images and around panels, the height of a title."""

Panel = tuple[NDArray[np.float64], list[str]]
"""The picture of a panel, rows of images below each other, and the labels of these rows."""


def image_rows(panel: str, row: str, images: NDArray[np.uint8]) -> list[dict[str, Any]]:
    """Table rows, one per image of uint8 (N, H, W): panel, row, index, then one column per pixel."""
    return [
        {"panel": panel, "row": row, "index": index} | {f"p{i}": int(value) for i, value in enumerate(image.flat)}
        for index, image in enumerate(images)
    ]


@figure_style()
def draw_image_grids(table: pd.DataFrame, *, num_panel_columns: int, row_title: str = "") -> Figure:
    """One panel per value of `panel`, each with one row of images per value of `row`, in the table's order.

    Args:
        table: as made of `image_rows`, all panels with the same number of images per row.
        num_panel_columns: panels side by side, each as wide as a column of a paper.
        row_title: what the row labels are.
    """
    pixels = [name for name in map(str, table) if name.startswith("p") and name != "panel"]
    size = int(len(pixels) ** 0.5)
    panels = {str(panel): _montage(rows, pixels, size) for panel, rows in table.groupby("panel", sort=False)}
    columns = min(num_panel_columns, len(panels))
    width = ONE_COLUMN if columns == 1 else TWO_COLUMNS
    lines = [line for _, labels in panels.values() for label in labels for line in _row_label(label).split("\n")]
    left = max(map(len, lines)) * _LETTER + _LABEL_GAP + _GAP
    margin = 2 * _GAP + 0.1 * len(row_title.split("\n")) if row_title else 0.0
    inch = ((width - margin) / columns - left - _GAP) / max(picture.shape[1] for picture, _ in panels.values())
    heights = [inch * picture.shape[0] + _TITLE for picture, _ in panels.values()]
    tops = np.cumsum([0.0, *(max(heights[i : i + columns]) + _GAP for i in range(0, len(panels), columns))])
    figure = Figure(figsize=(width, tops[-1]))
    for place, (panel, (picture, labels)) in enumerate(panels.items()):
        x = margin + place % columns * (width - margin) / columns + left
        y = tops[-1] - tops[place // columns] - heights[place]
        box = (x / width, y / tops[-1], inch * picture.shape[1] / width, inch * picture.shape[0] / tops[-1])
        _draw_panel(figure.add_axes(box), picture, labels, title=display_name(panel))
    figure.text(_GAP / width, 0.5, row_title, rotation=90, va="center", ha="left", multialignment="center")
    return figure


def _draw_panel(axis: Axes, picture: NDArray[np.float64], labels: Sequence[str], *, title: str) -> None:
    height = picture.shape[0] / len(labels)
    axis.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest", aspect="auto")
    axis.set_title(title)
    axis.set_xticks([])
    axis.set_yticks([height * (i + 0.5) - 1 for i in range(len(labels))], [_row_label(label) for label in labels])
    axis.tick_params(length=0, labelsize=_LABEL_SIZE)
    axis.spines[:].set_visible(False)


def _row_label(label: str) -> str:
    """A method's name, or the label as it is, in lines as short as can be."""
    return display_name(label).replace(", ", ",\n")


def _montage(rows: pd.DataFrame, pixels: Sequence[str], size: int) -> Panel:
    """Images side by side per row label, a white line between them."""
    labels = list(dict.fromkeys(rows["row"]))
    lines = []
    for label in labels:
        images = rows.loc[rows["row"] == label, list(pixels)].to_numpy(float).reshape(-1, size, size)
        lines.append(np.hstack([np.pad(image, ((0, 1), (0, 1)), constant_values=255) for image in images]))
    return np.vstack(lines), labels
