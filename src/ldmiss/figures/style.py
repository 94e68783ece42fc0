"""One look for all figures: every method keeps its colour and marker, whatever else is drawn."""

import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_COLOURS_AND_MARKERS = {
    "ldmiss": (0, "o"),
    "ldmiss-guidance": (0, "D"),
    "ddpm": (1, "s"),
    "ddpm-guidance": (1, "v"),
    "ddpm-replacement": (3, "P"),
    "diffputer": (2, "^"),
    "diffputer-replacement": (2, "*"),
    "autoencoder": (4, "X"),
    "mean": (7, "h"),
    "neighbour": (8, "d"),
    "gaussian": (5, "<"),
}
"""Method -> which colour of seaborn's palette `colorblind`, and matplotlib's marker."""
_OTHER_METHODS = (6, "o")


def colour_of(method: str) -> tuple[float, float, float]:
    """The colour of a method, red, green and blue in [0, 1]; all methods not known here share one."""
    index, _ = _COLOURS_AND_MARKERS.get(method, _OTHER_METHODS)
    colour: tuple[float, float, float] = sns.color_palette("colorblind", 10)[index]
    return colour


def marker_of(method: str) -> str:
    """The marker of a method; all methods not known here share one."""
    return _COLOURS_AND_MARKERS.get(method, _OTHER_METHODS)[1]


def new_figure(rows: int, columns: int, *, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """A figure of rows x columns panels, each width x height inches, and its axes in reading order.

    Made without pyplot, which would keep every figure until it is closed, and look for a display.
    """
    sns.set_theme(context="paper", style="ticks")
    figure = Figure(figsize=(columns * width, rows * height), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)
