"""Grids of images: generated (Figure 2) and imputed digits (Figure 4), each drawn from a table of pixels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ldmiss.figures.style import new_figure

MISSING_GREY = 110
"""How a missing pixel is shown in the row of observed images."""


def image_rows(panel: str, row: str, images: NDArray[np.uint8]) -> list[dict[str, Any]]:
    """Table rows, one per image of uint8 (N, H, W): panel, row, index, then one column per pixel."""
    return [
        {"panel": panel, "row": row, "index": index} | {f"p{i}": int(value) for i, value in enumerate(image.flat)}
        for index, image in enumerate(images)
    ]


def draw_image_grids(table: pd.DataFrame, *, num_panel_columns: int, row_title: str) -> Figure:
    """One panel per value of `panel`, each with one row of images per value of `row`, in the table's order.

    Args:
        table: as made of `image_rows`, all panels with the same number of images per row.
        num_panel_columns: panels side by side.
        row_title: what the row labels are.
    """
    panels = list(dict.fromkeys(table["panel"]))
    pixels = [name for name in map(str, table) if name.startswith("p") and name != "panel"]
    size = int(len(pixels) ** 0.5)
    pictures = {panel: _montage(table[table["panel"] == panel], pixels, size) for panel in panels}
    num_rows = max(len(labels) for _, labels in pictures.values())
    num_images = max(picture.shape[1] for picture, _ in pictures.values()) / (size + 1)
    columns = min(num_panel_columns, len(panels))
    figure, axes = new_figure(
        -(-len(panels) // columns), columns, width=0.32 * num_images + 0.9, height=max(0.34 * num_rows + 0.45, 1.6)
    )
    for axis in axes:
        axis.set_axis_off()
    for axis, (panel, (picture, labels)) in zip(axes, pictures.items(), strict=False):
        axis.set_axis_on()
        axis.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axis.set_title(panel)
        axis.set_xticks([])
        axis.set_yticks([(size + 1) * i + size / 2 for i in range(len(labels))], labels)
        axis.tick_params(length=0)
        for spine in axis.spines.values():
            spine.set_visible(False)
    figure.supylabel(row_title, fontsize="medium")
    return figure


def _montage(rows: pd.DataFrame, pixels: Sequence[str], size: int) -> tuple[NDArray[np.float64], list[str]]:
    """Images side by side per row label, a white line between them; and the labels."""
    labels = list(dict.fromkeys(rows["row"]))
    lines = []
    for label in labels:
        images = rows.loc[rows["row"] == label, list(pixels)].to_numpy(float).reshape(-1, size, size)
        lines.append(np.hstack([np.pad(image, ((0, 1), (0, 1)), constant_values=255) for image in images]))
    return np.vstack(lines), labels
