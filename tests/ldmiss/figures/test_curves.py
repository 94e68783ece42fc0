"""Metrics against the missing rate, and the table they are drawn from."""

import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.container import ErrorbarContainer

from ldmiss.figures.curves import against_rate, draw_against_rate
from ldmiss.figures.style import style_of

TABLE = pd.DataFrame(  # rates not in order
    [
        (rate, seed, task, method, metric, value)
        for rate, seed, ldmiss, ddpm in ((0.5, 42, 1.0, 10.0), (0.5, 43, 4.0, 30.0), (0.1, 42, 2.0, 5.0))
        for task, method, metric, value in (
            ("generation", "ldmiss", "fid", ldmiss),
            ("generation", "ldmiss", "fid_se", 0.1 * ldmiss),
            ("generation", "ldmiss", "is", 9.0),
            ("generation", "ddpm", "fid", ddpm),
            ("generation", "ddpm", "is", 8.0),
            ("imputation", "mean", "mse", 0.1),
            ("imputation", "mean", "mse_draw", 0.2),
            ("classifier", "classifier", "sha256", "abc"),
        )
    ],
    columns=["missing_rate", "seed", "task", "method", "metric", "value"],
)


def bars(container: ErrorbarContainer) -> list[float]:
    """Half the length of each error bar that is drawn (NaN: none is); empty where the line has none at all."""
    if not container.has_yerr:
        return []
    segments = container.lines[2][0].get_segments()
    return [float(ends[1][1] - ends[0][1]) / 2 if len(ends) == 2 else math.nan for ends in segments]


def test_against_rate() -> None:
    """Mean and sample standard deviation over seeds, sorted by rate; NaN spread for a single seed; known errors."""
    frame = against_rate(TABLE, "generation", ["is", "fid"])
    assert list(frame) == ["metric", "method", "missing_rate", "mean", "std", "se", "num_seeds"]
    keys = list(frame[["metric", "method", "missing_rate"]].itertuples(index=False, name=None))
    assert keys == [(metric, method, rate) for metric in ("is", "fid") for method in ("ldmiss", "ddpm")
                    for rate in (0.1, 0.5)]  # fmt: skip
    fid = frame[frame["metric"] == "fid"]
    assert fid["mean"].tolist() == [2.0, 2.5, 5.0, 20.0]
    assert fid["num_seeds"].tolist() == [1, 2, 1, 2]
    assert fid["std"].tolist() == pytest.approx([np.nan, np.std([1, 4], ddof=1), np.nan, 200**0.5], nan_ok=True)
    assert fid["se"].tolist() == pytest.approx([0.2, 0.25, np.nan, np.nan], nan_ok=True)


def test_against_rate_takes_only_its_task_and_metrics() -> None:
    """Imputation has its own methods; a metric not asked for is left out; NaN is no value."""
    table = pd.concat([TABLE, TABLE.assign(seed=44, value=np.nan)])
    frame = against_rate(table, "imputation", ["mse"])
    assert set(frame["metric"]) == {"mse"}
    assert set(frame["method"]) == {"mean"}
    assert frame["num_seeds"].tolist() == [1, 2]


def test_metrics_that_were_not_measured_have_no_panel() -> None:
    """And where none was, the figure says so."""
    frame = against_rate(TABLE, "imputation", ["mse", "fid"])
    assert len(draw_against_rate(frame, ["mse", "fid"]).axes) == 1
    (axis,) = draw_against_rate(frame, ["fid"], without="no labels").axes
    assert [text.get_text() for text in axis.texts] == ["no labels"]
    assert not axis.axison


def test_draw_against_rate() -> None:
    """One panel per metric, in it one line per method through the means, and one legend entry per method."""
    frame = against_rate(TABLE, "generation", ["fid", "is"])
    figure = draw_against_rate(frame, ["fid", "is"])
    assert [axis.get_title()[:3] for axis in figure.axes] == ["FID", "IS "]
    assert [axis.get_yscale() for axis in figure.axes] == ["log", "linear"]
    for axis, metric in zip(figure.axes, ["fid", "is"], strict=True):
        assert len(axis.containers) == 2
        for container, method in zip(axis.containers, ["ldmiss", "ddpm"], strict=True):
            points = frame[(frame["metric"] == metric) & (frame["method"] == method)]
            line = container.lines[0]
            assert line.get_xdata().tolist() == [0.1, 0.5]
            assert line.get_ydata().tolist() == points["mean"].tolist()
            assert line.get_color() == style_of(method).colour
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["LDMiss", "DDPM"]


def test_bars_are_drawn_where_they_are_known() -> None:
    """Over several seeds their deviation; of one, the error within the cell; the legend shows bars of no other line."""
    figure = draw_against_rate(against_rate(TABLE, "generation", ["fid"]), ["fid"])
    ldmiss, ddpm = figure.axes[0].containers
    assert bars(ldmiss) == pytest.approx([0.2, np.std([1, 4], ddof=1)])
    assert bars(ddpm) == pytest.approx([np.nan, 200**0.5], nan_ok=True)
    one_seed = TABLE[TABLE["seed"] == 42]
    figure = draw_against_rate(against_rate(one_seed, "generation", ["fid"]), ["fid"])
    ldmiss, ddpm = figure.axes[0].containers
    assert bars(ldmiss) == pytest.approx([0.2, 0.1])
    assert bars(ddpm) == []
    assert [handle.has_yerr for handle in figure.axes[0].get_legend_handles_labels()[0]] == [True, False]


def test_methods_at_a_single_rate_stand_side_by_side() -> None:
    """No marker hides another, and the axis says the rate."""
    frame = against_rate(TABLE[TABLE["missing_rate"] == 0.5], "generation", ["fid"])
    axis = draw_against_rate(frame, ["fid"]).axes[0]
    assert [list(container.lines[0].get_xdata()) for container in axis.containers] == [[0], [1]]
    assert axis.get_xlabel() == "training missing rate 0.5"
    assert not list(axis.get_xticks())


def test_enlarged_panel_shows_the_best_alone() -> None:
    """The values near the best are inside, the others are not."""
    rows = [(0.5, 42, "imputation", method, "is", value) for method, value in (("a", 9.5), ("b", 9.6), ("c", 4.0))]
    frame = against_rate(pd.DataFrame(rows, columns=TABLE.columns), "imputation", ["is"])
    whole, enlarged = draw_against_rate(frame, ["is"], enlarged=["is"]).axes
    assert whole.get_ylim()[0] < 4 < 9.6 < whole.get_ylim()[1]
    assert 4 < enlarged.get_ylim()[0] < 9.5 < 9.6 < enlarged.get_ylim()[1]


def test_published_numbers_stand_beside_the_mse_panel() -> None:
    """A marker and a name each on the same y axis, over no line of ours; else nothing."""
    frame = against_rate(TABLE, "imputation", ["mse", "mse_draw"])
    figure = draw_against_rate(frame, ["mse", "mse_draw"], published={"EMFlow": 0.01, "GAIN": 0.03})
    (strip,) = figure.axes[0].child_axes
    assert list(strip.lines[0].get_ydata()) == [0.01, 0.03]
    assert [label.get_text() for label in strip.get_xticklabels()] == ["EMFlow", "GAIN"]
    assert strip.get_ylim() == figure.axes[0].get_ylim()
    assert strip.get_title() == "published,\nrate 0.5"
    assert not figure.axes[1].child_axes
    for nothing in ({}, None):
        assert not draw_against_rate(frame, ["mse", "mse_draw"], published=nothing).axes[0].child_axes
