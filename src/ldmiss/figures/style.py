"""One look for all figures, whatever the user's matplotlibrc says: sizes, fonts, a name and a line for every method.

Colours are those of Okabe and Ito (2008), which colour-blind readers can tell apart; markers and line styles differ,
too, for print in grey. Methods that are not in the table share one style, under their own names.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

ONE_COLUMN, TWO_COLUMNS = 3.4, 7.0
"""Widths of figures in a paper, inches."""

RC_PARAMS: dict[str, Any] = {
    "font.size": 7,
    "axes.titlesize": 8,
    "axes.labelsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.use_mathtext": True,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.1,
    "lines.markersize": 4,
    "errorbar.capsize": 2,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,  # TrueType: text stays text, and journals accept it
}
"""What differs from matplotlib's own defaults."""
FORMATS = {"png": ["Software"], "pdf": ["CreationDate", "Creator", "Producer"]}
"""Formats of files, each with the metadata left out of it: dates and versions, that files of two runs be the same."""


@dataclass(frozen=True)
class MethodStyle:
    """How a method looks in every figure.

    Attributes:
        name: in titles and legends.
        colour, marker, line: as matplotlib names them.
    """

    name: str
    colour: str
    marker: str
    line: str


METHODS = {
    "ldmiss": MethodStyle("LDMiss", "#0072B2", "o", "-"),
    "ldmiss-guidance": MethodStyle("LDMiss, self-guidance", "#0072B2", "o", "-"),
    "ldmiss-posterior": MethodStyle("LDMiss, posterior", "#0072B2", ">", ":"),
    "ddpm": MethodStyle("DDPM", "#D55E00", "s", "--"),
    "ddpm-guidance": MethodStyle("DDPM, self-guidance", "#D55E00", "s", "--"),
    "ddpm-moment-matching": MethodStyle("DDPM, moment matching", "#D55E00", "8", ":"),
    "ddpm-replacement": MethodStyle("DDPM, replacement", "#E69F00", "P", ":"),
    "diffputer": MethodStyle("DiffPuter", "#009E73", "^", "-."),
    "diffputer-replacement": MethodStyle("DiffPuter, replacement", "#009E73", "^", "-."),
    "vae": MethodStyle("VAE", "#CC79A7", "X", "--"),
    "autoencoder": MethodStyle("VAE alone", "#CC79A7", "X", "--"),
    "conditional-diffusion": MethodStyle("conditional diffusion", "#882255", "D", "-"),
    "unet-regression": MethodStyle("regression U-Net", "#8C510A", "p", "--"),
    "unet-regression-draws": MethodStyle("regression U-Net, draws", "#8C510A", "*", ":"),
    "miwae-mean": MethodStyle("MIWAE", "#117733", "H", "--"),
    "miwae-draws": MethodStyle("MIWAE, draws", "#117733", "+", ":"),
    "em-diffusion": MethodStyle("EM of pixel diffusion", "#AA4499", "x", "-"),
    "gaussian": MethodStyle("linear Gaussian", "#000000", "<", "-"),
    "mean": MethodStyle("pixel mean", "#808080", "h", ":"),
    "neighbour": MethodStyle("nearest neighbour", "#56B4E9", "d", "-."),
}
"""Generators, imputers and trained models by the name that tables give them."""


def style_of(method: str) -> MethodStyle:
    """The style of a method; all methods not known here share one, under their own names."""
    return METHODS.get(method, MethodStyle(method, "#A6761D", "v", "-"))


def display_name(method: str) -> str:
    """What a reader calls the method; an unknown name as it is."""
    return style_of(method).name


def line_style(method: str) -> dict[str, Any]:
    """A method's arguments of `Axes.plot` and `Axes.errorbar`, its label among them."""
    style = style_of(method)
    return {"color": style.colour, "marker": style.marker, "linestyle": style.line, "label": style.name}


@contextmanager
def figure_style() -> Iterator[None]:
    """Matplotlib's defaults and `RC_PARAMS`, for as long as the context lasts; also a decorator, `@figure_style()`."""
    with matplotlib.style.context(RC_PARAMS, after_reset=True):
        yield


def render(figure: Figure, file_format: str) -> bytes:
    """The figure as the content of a file in one of `FORMATS`."""
    buffer = io.BytesIO()
    with figure_style():  # ticks are made only now
        figure.savefig(buffer, format=file_format, metadata=dict.fromkeys(FORMATS[file_format]))
    return buffer.getvalue()


def new_figure(rows: int, columns: int, *, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """A figure of rows x columns panels, each width x height inches, and its axes in reading order.

    Made without pyplot, which would keep every figure until it is closed, and look for a display.
    """
    figure = Figure(figsize=(columns * width, rows * height), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def new_statement(text: str) -> Figure:
    """A figure of one panel that says in words why there is nothing to draw."""
    figure, (axis,) = new_figure(1, 1, width=ONE_COLUMN, height=1.5)
    axis.text(0.5, 0.5, text, ha="center", va="center", transform=axis.transAxes)
    axis.set_axis_off()
    return figure


def panel_width(columns: int) -> float:
    """Inches: panels side by side share the width of a page, one alone fills a column of a paper."""
    return ONE_COLUMN if columns == 1 else TWO_COLUMNS / columns


def use_log_scale(axis: Axes) -> None:
    """A logarithmic y axis, once all is drawn, with plain numbers on it.

    1, 2 and 5 times the powers of ten; within a decade, where these are too few to show the scale, some round ones.
    """
    axis.set_yscale("log")
    low, high = axis.get_ylim()
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if high / low >= 10 else MaxNLocator(5))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter("{x:g}")
