"""Curves against the training missing rate (Figures 1 and 3) and training curves, each drawn from a wide table."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ldmiss.figures.style import colour_of, marker_of, new_figure

TITLES = {
    "fid": "FID (lower is better)",
    "is": "IS (higher is better)",
    "mse": "MSE, missing pixels (lower is better)",
}


def against_rate(table: pd.DataFrame, task: str, metrics: Sequence[str]) -> pd.DataFrame:
    """Mean and standard deviation over seeds, one row per missing rate.

    Args:
        table: tidy, one number a row: missing_rate, seed, task, method, metric, value.
        task: "generation" or "imputation".
        metrics: which.

    Returns:
        missing_rate, then `<metric>_<method>` and `<metric>_<method>_std` (ddof 1; NaN for one seed).
    """
    rows = table[(table["task"] == task) & table["metric"].isin(metrics)].astype({"value": float})
    grouped = rows.groupby(["missing_rate", "metric", "method"], sort=False)["value"]
    wide = grouped.agg(["mean", "std"]).unstack(["metric", "method"])
    columns = {
        f"{metric}_{method}" + ("_std" if statistic == "std" else ""): wide[(statistic, metric, method)]
        for metric in metrics
        for method in rows.loc[rows["metric"] == metric, "method"].unique()
        for statistic in ("mean", "std")
    }
    return pd.DataFrame(columns).sort_index().reset_index()


def draw_against_rate(
    wide: pd.DataFrame, metrics: Sequence[str], *, published: Mapping[str, float] | None = None, at: float = 0.5
) -> Figure:
    """One panel per metric, one line per method, bars of one standard deviation over seeds.

    Args:
        wide: from `against_rate`.
        metrics: one panel each.
        published: method -> published MSE, drawn in the "mse" panel at the training rate `at` only: the only point of
            a curve that is like for like. None draws nothing.
        at: that rate.
    """
    figure, axes = new_figure(1, len(metrics), width=3.6, height=3.0)
    for axis, metric in zip(axes, metrics, strict=True):
        longer = tuple(f"{other}_" for other in metrics if other.startswith(f"{metric}_"))
        means = [name for name in map(str, wide) if name.startswith(f"{metric}_") and not name.endswith("_std")]
        means = [name for name in means if not name.startswith(longer)]
        for name in means:
            method = name.removeprefix(f"{metric}_")
            style: dict[str, Any] = {
                "color": colour_of(method),
                "marker": marker_of(method),
                "markersize": 5,
                "label": method,
            }
            axis.errorbar(wide["missing_rate"], wide[name], yerr=wide[f"{name}_std"].fillna(0), capsize=2, **style)
        axis.set(xlabel="training missing rate", title=TITLES.get(metric, metric))
        axis.set_xticks(wide["missing_rate"])
        sns.despine(ax=axis)
        if metric == "mse" and published:
            _draw_published(axis, published, at)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    return figure


def _draw_published(axis: Axes, published: Mapping[str, float], at: float) -> None:
    """A hollow black marker for each, over the curves; the legend also has the value, for markers may overlap."""
    for (name, value), marker in zip(published.items(), cycle("osD^vph"), strict=False):
        axis.plot(
            at, value, linestyle="none", marker=marker, markersize=6, zorder=3,
            markerfacecolor="none", markeredgecolor="black", label=f"{name} (published {value:.4f})",
        )  # fmt: skip


def training_curves(curves: dict[tuple[str, str], list[float]]) -> pd.DataFrame:
    """Losses by epoch, one row per epoch.

    Args:
        curves: (model, missing rate) -> mean loss of each epoch; for several seeds, those of one.

    Returns:
        epoch, then `<model>` (mean over the rates) and `<model>@<rate>`.
    """
    columns = {f"{model}@{rate}": pd.Series(losses) for (model, rate), losses in curves.items()}
    frame = pd.DataFrame(columns)
    for model in dict.fromkeys(model for model, _ in curves):
        of_model = [name for name in columns if name.startswith(f"{model}@")]
        frame[model] = frame[of_model].mean(axis=1)
    frame.insert(0, "epoch", range(1, len(frame) + 1))
    return frame


def draw_training_curves(frame: pd.DataFrame) -> Figure:
    """One panel per model, one line per missing rate."""
    per_rate = [name for name in map(str, frame) if "@" in name]
    models = list(dict.fromkeys(name.partition("@")[0] for name in per_rate))
    figure, axes = new_figure(1, len(models), width=2.8, height=2.6)
    for axis, model in zip(axes, models, strict=True):
        names = [name for name in per_rate if name.partition("@")[0] == model]
        for name, colour in zip(names, sns.color_palette("viridis", len(names)), strict=True):
            losses = frame[["epoch", name]].dropna()
            axis.plot(losses["epoch"], losses[name], color=colour, label=name.partition("@")[2])
        axis.set(title=model, xlabel="epoch", ylabel="training loss", yscale="log")
        sns.despine(ax=axis)
    axes[-1].legend(title="missing rate", frameon=False, fontsize="small")
    return figure
