"""One look for all figures: every method keeps its colour and marker, whatever else is drawn."""

import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_KNOWN = [
    "ldmiss", "ddpm", "diffputer", "ldmiss-guidance", "ddpm-guidance", "ddpm-replacement", "diffputer-replacement",
    "autoencoder", "mean", "neighbour", "gaussian",
]  # fmt: skip
_COLOURS = {
    "ldmiss": 0, "ldmiss-guidance": 0, "ddpm": 1, "ddpm-guidance": 1, "ddpm-replacement": 3, "diffputer": 2,
    "diffputer-replacement": 2, "autoencoder": 4, "mean": 7, "neighbour": 8, "gaussian": 5,
}  # fmt: skip
_MARKERS = "os^DvP*Xhd<>"


def colour_of(method: str) -> tuple[float, float, float]:
    """The colour of a method; methods not known here share the last ones by name."""
    palette = sns.color_palette("colorblind", 10)
    colour: tuple[float, float, float] = palette[_COLOURS.get(method, 6)]
    return colour


def marker_of(method: str) -> str:
    """The marker of a method."""
    return _MARKERS[_KNOWN.index(method) % len(_MARKERS)] if method in _KNOWN else "o"


def new_figure(rows: int, columns: int, *, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """A figure of rows x columns panels, each width x height inches, and its axes in reading order.

    Made without pyplot, which would keep every figure until it is closed, and look for a display.
    """
    sns.set_theme(context="paper", style="ticks")
    figure = Figure(figsize=(columns * width, rows * height), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)
