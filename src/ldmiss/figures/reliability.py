"""The uncertainty figure: are the draws as far from the truth as they are from each other?"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ldmiss.figures.curves import draw_legend, draw_methods
from ldmiss.figures.style import figure_style, line_style, new_figure, new_statement, panel_width

COLUMNS = ["kind", "missing_rate", "imputer", "predicted", "actual", "count"]
_MIN_SHARE = 0.001
"""Bins with a smaller share of the pixels are left out of the drawing (not of the table): noise."""


def uncertainty_table(
    curves: Mapping[tuple[float, str], Sequence[NDArray[np.float64]]], table: pd.DataFrame
) -> pd.DataFrame:
    """Reliability and coverage as rows of predicted against actual.

    Args:
        curves: (missing rate, imputer) -> the reliability of each seed, float64 (B, 3) with columns predicted, actual,
            count, as from `ldmiss.evaluation.uncertainty.reliability`; (0, 3) for imputers with too few draws.
        table: tidy, as of `curves.against_rate`, for coverage and coverage_level.

    Returns:
        kind, missing_rate, imputer, predicted, actual, count. Kind "reliability": root mean square errors of a bin,
        pooled over seeds, and its number of (pixel, draw); empty bins are left out. Kind "coverage": nominal level,
        mean coverage over seeds, number of seeds.
    """
    rows: list[tuple[Any, ...]] = []
    for (rate, imputer), of_seeds in curves.items():
        of_seeds = [curve for curve in of_seeds if len(curve)]
        if not of_seeds:
            continue
        stacked = np.stack(of_seeds)  # (seeds, bins, 3)
        counts = stacked[:, :, 2].sum(axis=0)
        squares = (np.nan_to_num(stacked[:, :, :2]) ** 2 * stacked[:, :, 2:]).sum(axis=0)
        for (predicted, actual), count in zip(squares, counts, strict=True):
            if count:
                rows.append(
                    ("reliability", rate, imputer, (predicted / count) ** 0.5, (actual / count) ** 0.5, int(count))
                )
    chosen = table[(table["task"] == "imputation") & table["metric"].isin(["coverage", "coverage_level"])]
    for key, group in chosen.groupby(["missing_rate", "method"], sort=False):
        values = {name: part["value"].astype(float) for name, part in group.groupby("metric")}
        if "coverage" in values:
            level, covered = values["coverage_level"].mean(), values["coverage"]
            rows.append(("coverage", *key, level, covered.mean(), len(covered)))
    return pd.DataFrame(rows, columns=COLUMNS)


@figure_style()
def draw_uncertainty(frame: pd.DataFrame) -> Figure:
    """A panel per missing rate with actual against predicted error, and one with coverage against the rate.

    Above the diagonal, and below the nominal coverage (dashed), the draws are too sure. Without any draws, one panel
    that says so.
    """
    if frame.empty:
        return new_statement("no imputer gives several draws")
    curves = frame[frame["kind"] == "reliability"]
    covered = frame[frame["kind"] == "coverage"]
    rates = sorted(curves["missing_rate"].unique())
    num_panels = len(rates) + (not covered.empty)
    columns = min(4, num_panels)
    width = panel_width(columns)
    figure, axes = new_figure(-(-num_panels // columns), columns, width=width, height=width + 0.3)
    limit = 1.05 * float(curves[["predicted", "actual"]].to_numpy().max()) if len(curves) else 1.0
    for axis, rate in zip(axes, rates, strict=False):
        _draw_reliability(axis, curves[curves["missing_rate"] == rate], limit)
        axis.set_title(f"training missing rate {rate:g}", fontsize="medium")
    if not covered.empty:
        _draw_coverage(axes[num_panels - 1], covered)
    for axis in axes[num_panels:]:
        axis.set_axis_off()
    draw_legend(figure)
    return figure


def _draw_reliability(axis: Axes, curves: pd.DataFrame, limit: float) -> None:
    axis.plot([0, limit], [0, limit], color="0.6", linewidth=0.8, linestyle="--")
    for imputer, curve in curves.groupby("imputer", sort=False):
        drawn = curve[curve["count"] >= _MIN_SHARE * curve["count"].sum()]
        axis.plot(drawn["predicted"], drawn["actual"], **line_style(str(imputer)))
    axis.text(0.04, 0.96, "too sure", transform=axis.transAxes, va="top", color="0.4")
    axis.set(xlim=(0, limit), ylim=(0, limit), aspect="equal", xlabel="predicted RMSE", ylabel="actual RMSE")


def _draw_coverage(axis: Axes, covered: pd.DataFrame) -> None:
    for level in covered["predicted"].unique():
        axis.axhline(level, color="0.6", linewidth=0.8, linestyle="--")
        axis.text(0.02, level, "nominal", transform=axis.get_yaxis_transform(), va="bottom", color="0.4")
    draw_methods(axis, covered.rename(columns={"imputer": "method", "actual": "value"}).assign(bar=np.nan))
    axis.set(ylim=(0, 1), ylabel="within the draws' range", box_aspect=1)
    axis.set_title("coverage", fontsize="medium")
    axis.tick_params(axis="x", labelsize=6)
