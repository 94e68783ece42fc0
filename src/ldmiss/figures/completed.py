"""A sheet of a person's own images: observed, completed, and how sure the completion is."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ldmiss.figures.style import figure_style, new_figure

_MISSING_COLOUR = (0.85, 0.2, 0.55)
"""Of missing pixels in the column of observed images: one that grey and natural pictures seldom have."""
_INCHES = 1.1
"""Width of an image."""


@figure_style()
def draw_completed(
    values: NDArray[Any],
    observed: NDArray[np.bool_],
    completed: NDArray[Any],
    sd: NDArray[np.float32],
    labels: Sequence[str],
) -> Figure:
    """A column for each image: what is observed, the completed image, and the standard deviation of the draws.

    Three channels are shown in colour, of any other number the first. All images have one scale, and so have the
    standard deviations (of a colour image, the largest of its channels), each with its bar in the units of the data. A
    single draw has no deviation: then there is no such row.

    Args:
        values: (N, C, H, W), anything at missing pixels.
        observed: bool (N, C, H, W).
        completed: (N, C, H, W).
        sd: (N, C, H, W), in the units of the data; 0 at observed pixels.
        labels: of the N images.
    """
    num_images, channels, height, width = values.shape
    colour, names = channels == 3, ["observed", "completed", "standard\ndeviation"]
    if not sd.any():
        names.pop()
    figure, axes = new_figure(len(names), num_images, width=_INCHES, height=_INCHES * height / width + 0.05)
    shown_values = values[observed] if observed.any() else completed
    low, high, largest = float(shown_values.min()), float(shown_values.max()), float(sd.max())
    of_sd: Any = None
    for column, label in enumerate(labels):
        top, middle, *bottom = axes[column::num_images]
        known = np.where(observed[column], values[column], completed[column])
        _show(top, known, low, high, missing=~observed[column].all(0) if colour else ~observed[column, 0])
        shown = _show(middle, completed[column], low, high)
        for axis in bottom:
            of_image = sd[column].max(0) if colour else sd[column, 0]
            of_sd = axis.imshow(of_image, vmin=0, vmax=largest, cmap="magma", interpolation="nearest")
        top.set_title(label, fontsize="small")
    for axis, name in zip(axes[::num_images], names, strict=True):
        axis.set_ylabel(name, rotation=0, ha="right", va="center")
    for axis in axes:
        axis.set_xticks([])
        axis.set_yticks([])
        axis.spines[:].set_visible(False)
    if of_sd is not None:
        figure.colorbar(of_sd, ax=axes, shrink=0.3, aspect=12, anchor=(0, 0))
    if not colour:
        figure.colorbar(shown, ax=axes, shrink=0.3, aspect=12, anchor=(0, 0.5))
    return figure


def _show(axis: Axes, image: NDArray[Any], low: float, high: float, *, missing: NDArray[np.bool_] | None = None) -> Any:
    """One image (C, H, W) on a scale from `low` to `high`, pixels of `missing` (H, W) in a colour of their own."""
    if len(image) != 3 and missing is None:
        return axis.imshow(image[0], cmap="gray", vmin=low, vmax=high, interpolation="nearest")
    unit = (image.astype(np.float64) - low) / max(high - low, np.finfo(np.float64).tiny)
    picture = np.moveaxis(unit if len(image) == 3 else np.repeat(unit[:1], 3, axis=0), 0, -1)
    if missing is not None:
        picture[missing] = _MISSING_COLOUR
    return axis.imshow(picture.clip(0, 1), interpolation="nearest")
