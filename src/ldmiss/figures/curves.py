"""Metrics against the training missing rate (Figures 1 and 3), drawn from a table with one point a row."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ldmiss.figures.style import (
    ONE_COLUMN,
    figure_style,
    line_style,
    new_figure,
    new_statement,
    panel_width,
    use_log_scale,
)

COLUMNS = ["metric", "method", "missing_rate", "mean", "std", "se", "num_seeds"]
TITLES = {
    "fid": "FID (lower is better)",
    "is": "IS (higher is better)",
    "mse": "MSE, missing pixels (lower is better)",
    "rmse": "RMSE, held-out pixels (lower is better)",
    "mae": "mean absolute error, held-out pixels (lower is better)",
    "crps": "CRPS (lower is better)",
}
LOG_SCALED = ("fid", "mse", "rmse", "mae", "crps")
"""Metrics whose values differ by factors: on a linear axis, the worst method presses all good ones into one line."""
_ENLARGED_SHARE = 0.06
"""An enlarged panel shows values that are worse than the best one by at most this share of it."""


def against_rate(table: pd.DataFrame, task: str, metrics: Sequence[str]) -> pd.DataFrame:
    """Means over seeds and their spread, one row per metric, method and missing rate.

    Args:
        table: tidy, one number a row: missing_rate, seed, task, method, metric, value.
        task: "generation" or "imputation".
        metrics: which.

    Returns:
        metric, method (both in the order given), missing_rate (ascending), mean, std (over seeds, ddof 1; NaN for one
        seed), se (standard error within a cell, `<metric>_se`, as a mean over seeds; NaN where the table has none),
        num_seeds.
    """
    rows = table[(table["task"] == task) & table["metric"].isin([*metrics, *(f"{metric}_se" for metric in metrics)])]
    rows = rows.astype({"value": float}).dropna(subset="value")
    points: list[tuple[Any, ...]] = []
    for metric in metrics:
        for method, of_method in rows.groupby("method", sort=False):
            errors = of_method[of_method["metric"] == f"{metric}_se"].groupby("missing_rate")["value"].mean()
            for rate, values in of_method[of_method["metric"] == metric].groupby("missing_rate")["value"]:
                error = errors.get(rate, np.nan)
                points.append((metric, method, rate, values.mean(), values.std(), error, len(values)))
    return pd.DataFrame(points, columns=COLUMNS)


@figure_style()
def draw_against_rate(
    frame: pd.DataFrame,
    metrics: Sequence[str],
    *,
    enlarged: Sequence[str] = (),
    published: Mapping[str, float] | None = None,
    at: float = 0.5,
    without: str = "nothing was measured",
) -> Figure:
    """Two panels a row, one per metric that the frame has, with one line per method.

    Bars are one standard deviation over seeds to either side, or, with one seed, one standard error within the cell.

    Args:
        frame: from `against_rate`.
        metrics: one panel each, where there is a value.
        enlarged: metrics of which, higher being better, a further panel shows the best values alone.
        published: method -> published MSE, drawn beside the "mse" panel. None draws nothing.
        at: the missing rate that the published numbers are for.
        without: what the figure says where it has no metric to draw.
    """
    metrics = [metric for metric in metrics if (frame["metric"] == metric).any()]
    if not metrics:
        return new_statement(without)
    enlarged = [metric for metric in enlarged if _has_far_values(frame.loc[frame["metric"] == metric, "mean"])]
    panels = [(metric, False) for metric in metrics] + [(metric, True) for metric in enlarged]
    columns = min(2, len(panels))
    figure, axes = new_figure(-(-len(panels) // columns), columns, width=panel_width(columns), height=2.3)
    for axis, (metric, enlarge) in zip(axes, panels, strict=False):
        points = frame[frame["metric"] == metric]
        points = points.assign(value=points["mean"], bar=points["std"].fillna(points["se"]))
        axis.grid(axis="y", color="0.9", linewidth=0.5)
        draw_methods(axis, points)
        if metric in LOG_SCALED:
            use_log_scale(axis)
        axis.set_title(f"{TITLES.get(metric, metric)}{', enlarged' if enlarge else ''}")
        if enlarge and len(points):
            best = points["mean"].max()
            axis.set_ylim(best * (1 - _ENLARGED_SHARE), 1.005 * (points["mean"] + points["bar"].fillna(0)).max())
        if metric == "mse" and published:
            _draw_published(axis, published, at)
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    draw_legend(figure)
    return figure


def _has_far_values(means: "pd.Series[float]") -> bool:
    """Whether some values would lie outside the enlarged panel; else it would be the same again."""
    return bool((means < means.max() * (1 - _ENLARGED_SHARE)).any())


def draw_methods(axis: Axes, points: pd.DataFrame) -> None:
    """Values against the missing rate, a line per method; of a single rate, the methods side by side.

    Args:
        axis: where.
        points: method, missing_rate, value, and bar: half the length of the error bar (NaN: none).
    """
    rates = sorted(points["missing_rate"].unique())
    for place, (method, of_method) in enumerate(points.groupby("method", sort=False)):
        of_method = of_method.sort_values("missing_rate")
        x = of_method["missing_rate"] if len(rates) > 1 else [place]
        bars = None if of_method["bar"].isna().all() else of_method["bar"]  # or the legend would show some
        style = line_style(str(method)) | ({"linestyle": "none"} if len(rates) == 1 else {})
        axis.errorbar(x, of_method["value"], yerr=bars, **style)
    if len(rates) == 1:
        axis.set_xticks([])
        axis.set_xlabel(f"training missing rate {rates[0]:g}")
    else:
        axis.set_xticks(rates, [f"{rate:g}" for rate in rates])
        axis.set_xlabel("training missing rate")


_INCHES_A_LINE = 0.16
"""Height of a line of a legend."""


def draw_legend(figure: Figure) -> None:
    """One legend below all panels, with an entry for each label of any of them."""
    entries: dict[str, Any] = {}
    for axis in figure.axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    columns = min(4 if figure.get_figwidth() > ONE_COLUMN else 2, len(entries) or 1)
    further_lines = max(0, -(-len(entries) // columns) - 1)
    figure.set_figheight(figure.get_figheight() + further_lines * _INCHES_A_LINE)  # or panels of a fixed shape are cut
    figure.legend(list(entries.values()), list(entries), loc="outside lower center", ncols=columns)


def _draw_published(axis: Axes, published: Mapping[str, float], at: float) -> None:
    """Hollow markers on a strip to the right, on the same y axis: over the curves, they would hide them."""
    places = range(len(published))
    strip = axis.inset_axes((1.03, 0, 0.07 * len(published), 1), sharey=axis)
    strip.plot(places, list(published.values()), linestyle="none", marker="o", color="black", markerfacecolor="none")
    strip.set_xticks(places, list(published), rotation=90)
    strip.set_xlim(-0.6, len(published) - 0.4)
    strip.grid(axis="y", color="0.9", linewidth=0.5)
    strip.set_title(f"published,\nrate {at:g}", fontsize=6)
    strip.tick_params(left=False, labelleft=False, bottom=False)
    strip.spines["left"].set_visible(False)
