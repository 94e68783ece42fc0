"""Training curves, drawn from a table with the loss of one epoch a row."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ldmiss.figures.curves import draw_legend
from ldmiss.figures.style import display_name, figure_style, new_figure, panel_width, use_log_scale

COLUMNS = ["model", "missing_rate", "epoch", "loss"]
EPOCHS = {"diffputer": "epoch, of all EM iterations"}
"""What the epochs of a model are, if not those of one training; docs/metrics.md explains the jumps in between."""
_NUM_MARKERS = 8
"""About as many markers on a curve, however many epochs it has."""


def training_curves(curves: Mapping[tuple[str, str], Sequence[float]]) -> pd.DataFrame:
    """Losses by epoch, one row per model, missing rate and epoch.

    Args:
        curves: (model, missing rate) -> mean loss of each epoch; for several seeds, those of one.

    Returns:
        model, missing_rate, epoch (from 1), loss.
    """
    rows = [
        (model, rate, epoch, loss)
        for (model, rate), losses in curves.items()
        for epoch, loss in enumerate(losses, start=1)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


@figure_style()
def draw_training_curves(frame: pd.DataFrame) -> Figure:
    """One panel per model, one line per missing rate; a curve of one epoch is a marker."""
    models = list(frame["model"].unique())
    columns = min(4, len(models))
    figure, axes = new_figure(-(-len(models) // columns), columns, width=panel_width(columns), height=1.9)
    styles = _rate_styles(list(frame["missing_rate"].unique()))
    for axis, model in zip(axes, models, strict=False):
        _draw_model(axis, frame[frame["model"] == model], styles)
        axis.set(title=display_name(model), xlabel=EPOCHS.get(model, "epoch"))
    for axis in axes[len(models) :]:
        axis.set_axis_off()
    for axis in axes[::columns]:
        axis.set_ylabel("training loss")
    draw_legend(figure)
    return figure


def _rate_styles(rates: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Missing rate -> arguments of `Axes.plot`: darker to lighter, with markers and line styles that differ, too."""
    colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.85, len(rates)))
    return {
        rate: {"color": colour, "marker": marker, "linestyle": line, "label": f"missing rate {rate}"}
        for rate, colour, marker, line in zip(rates, colours, cycle("os^DvP"), cycle(("-", "--", "-.", ":")))
    }


def _draw_model(axis: Axes, curves: pd.DataFrame, styles: Mapping[str, Mapping[str, Any]]) -> None:
    for rate, curve in curves.groupby("missing_rate", sort=False):
        every = -(-len(curve) // _NUM_MARKERS)
        axis.plot(curve["epoch"], curve["loss"], markersize=3, markevery=every, **styles[str(rate)])
    use_log_scale(axis)
    axis.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True, min_n_ticks=1))
