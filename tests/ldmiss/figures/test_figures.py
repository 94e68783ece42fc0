"""Figures and the tables they are drawn from."""

import numpy as np
import pandas as pd
import pytest

from ldmiss.figures.curves import against_rate, draw_against_rate, draw_training_curves, training_curves
from ldmiss.figures.image_grids import draw_image_grids, image_rows
from ldmiss.figures.reliability import COLUMNS, draw_uncertainty, uncertainty_table
from ldmiss.figures.style import colour_of, marker_of, new_figure

TABLE = pd.DataFrame(  # rates not in order
    [
        (rate, seed, task, method, metric, value)
        for rate, seed, ldmiss, ddpm in ((0.5, 42, 1.0, 10.0), (0.5, 43, 4.0, 30.0), (0.1, 42, 2.0, 5.0))
        for task, method, metric, value in (
            ("generation", "ldmiss", "fid", ldmiss),
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


def test_against_rate() -> None:
    """Mean and sample standard deviation over seeds, sorted by rate; NaN spread for a single seed."""
    wide = against_rate(TABLE, "generation", ["fid", "is"])
    assert list(wide.columns) == [
        "missing_rate", "fid_ldmiss", "fid_ldmiss_std", "fid_ddpm", "fid_ddpm_std",
        "is_ldmiss", "is_ldmiss_std", "is_ddpm", "is_ddpm_std",
    ]  # fmt: skip
    assert wide["missing_rate"].tolist() == [0.1, 0.5]
    assert wide["fid_ldmiss"].tolist() == [2.0, 2.5]
    assert wide["fid_ddpm"].tolist() == [5.0, 20.0]
    assert wide["fid_ldmiss_std"][1] == pytest.approx(np.std([1, 4], ddof=1))
    assert np.isnan(wide["fid_ldmiss_std"][0])


def test_against_rate_takes_only_its_task_and_metrics() -> None:
    """Imputation has its own methods; a metric not asked for is left out."""
    assert list(against_rate(TABLE, "imputation", ["mse"])) == ["missing_rate", "mse_mean", "mse_mean_std"]


def test_draw_against_rate() -> None:
    """One panel per metric, in it one line per method through the means, and one legend entry per method."""
    wide = against_rate(TABLE, "generation", ["fid", "is"])
    figure = draw_against_rate(wide, ["fid", "is"])
    assert [axis.get_title()[:3] for axis in figure.axes] == ["FID", "IS "]
    for axis, metric in zip(figure.axes, ["fid", "is"], strict=True):
        assert len(axis.containers) == 2
        for container, method in zip(axis.containers, ["ldmiss", "ddpm"], strict=True):
            line = container.lines[0]
            assert line.get_ydata().tolist() == wide[f"{metric}_{method}"].tolist()
            assert line.get_color() == colour_of(method)
            lower, upper = np.array(container.lines[2][0].get_segments())[:, :, 1].T
            spread = wide[f"{metric}_{method}_std"].fillna(0)  # a single seed has no bar
            np.testing.assert_allclose((upper - lower) / 2, spread, atol=1e-12)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["ldmiss", "ddpm"]


def test_published_numbers_are_drawn_in_the_mse_panel_only() -> None:
    """A marker of its own at the rate that is like for like, with an entry in the legend each; else nothing."""
    wide = against_rate(TABLE, "imputation", ["mse", "mse_draw"])
    figure = draw_against_rate(wide, ["mse", "mse_draw"], published={"EMFlow": 0.01, "GAIN": 0.03})
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[:2] == ["EMFlow (published 0.0100)", "GAIN (published 0.0300)"]
    extra = [line for line in figure.axes[0].lines if line.get_markeredgecolor() == "black"]
    assert [(*line.get_xdata(), *line.get_ydata()) for line in extra] == [(0.5, 0.01), (0.5, 0.03)]
    assert len({line.get_marker() for line in extra}) == 2
    assert not [line for line in figure.axes[1].lines if line.get_markeredgecolor() == "black"]
    for nothing in ({}, None):
        plain = draw_against_rate(wide, ["mse", "mse_draw"], published=nothing)
        assert [text.get_text() for text in plain.legends[0].get_texts()] == ["mean"]


def test_training_curves() -> None:
    """A row per epoch, a column per model and rate, the model's mean over rates; shorter curves end in NaN."""
    frame = training_curves({("vae", "0.1"): [4.0, 2.0], ("vae", "0.5"): [6.0], ("ddpm", "0.1"): [1.0, 0.5]})
    assert frame["epoch"].tolist() == [1, 2]
    assert frame["vae"].tolist() == [5.0, 2.0]
    assert frame["ddpm"].tolist() == [1.0, 0.5]
    assert frame["vae@0.1"].tolist() == [4.0, 2.0]
    assert np.isnan(frame["vae@0.5"][1])


def test_draw_training_curves() -> None:
    """A panel per model with a line per rate, on a log scale; a shorter curve is drawn to its own end."""
    frame = training_curves({("vae", "0.1"): [4.0, 2.0], ("vae", "0.5"): [6.0], ("ddpm", "0.1"): [1.0, 0.5]})
    figure = draw_training_curves(frame)
    assert [axis.get_title() for axis in figure.axes] == ["vae", "ddpm"]
    assert [[len(line.get_xdata()) for line in axis.lines] for axis in figure.axes] == [[2, 1], [2]]
    assert {axis.get_yscale() for axis in figure.axes} == {"log"}


def test_image_rows() -> None:
    """One row per image, one column per pixel in reading order."""
    images = np.arange(8, dtype=np.uint8).reshape(2, 2, 2)
    rows = image_rows("ddpm", "0.5", images)
    assert rows[1] == {"panel": "ddpm", "row": "0.5", "index": 1, "p0": 4, "p1": 5, "p2": 6, "p3": 7}


def test_draw_image_grids() -> None:
    """A panel per method; in it the images side by side, a white line after each, and a labelled line per rate."""
    first, second = np.full((3, 2, 2), 7, dtype=np.uint8), np.full((3, 2, 2), 9, dtype=np.uint8)
    rows = [row for panel in "abc" for row in image_rows(panel, "0.1", first) + image_rows(panel, "0.5", second)]
    figure = draw_image_grids(pd.DataFrame(rows), num_panel_columns=2, row_title="rate")
    shown = [axis for axis in figure.axes if axis.axison]
    assert len(figure.axes) == 4  # 2 x 2, the last one empty
    assert [axis.get_title() for axis in shown] == ["a", "b", "c"]
    assert [label.get_text() for label in shown[0].get_yticklabels()] == ["0.1", "0.5"]
    picture = np.asarray(shown[0].images[0].get_array())
    line = [[7, 7, 255] * 3] * 2 + [[255] * 9]
    assert picture.tolist() == line + [[9 if value == 7 else value for value in row] for row in line]


def test_style_is_the_same_for_a_method_everywhere() -> None:
    """Generators and their imputers share a colour; methods unknown to the style still get one."""
    assert colour_of("ldmiss") == colour_of("ldmiss-guidance") != colour_of("ddpm")
    assert marker_of("ldmiss") != marker_of("ddpm")
    assert len(colour_of("something new")) == 3
    assert marker_of("something new") == "o"


def test_new_figure() -> None:
    """Panels in reading order, each of the size asked for, also when there is only one."""
    figure, axes = new_figure(2, 3, width=2.0, height=1.5)
    assert len(axes) == 6
    assert figure.get_size_inches().tolist() == [6.0, 3.0]
    assert len(new_figure(1, 1, width=1, height=1)[1]) == 1


def test_uncertainty_table() -> None:
    """Bins pooled over seeds by squares and counts, empty bins left out; coverage as its mean against the level."""
    empty, nan = np.empty((0, 3)), np.nan
    curves = {
        (0.5, "ddpm-guidance"): [
            np.array([[0.1, 0.3, 10.0], [nan, nan, 0.0], [nan, nan, 0.0]]),
            np.array([[0.2, 0.1, 30.0], [nan, nan, 0.0], [0.5, 0.6, 1.0]]),
        ],
        (0.5, "mean"): [empty, empty],
    }
    values = {"coverage": [0.5, 0.7], "coverage_level": [0.6, 0.6], "mse": [0.1, 0.1]}
    rows = [[0.5, seed, "imputation", "ddpm-guidance", name, of_seeds[seed - 42]]
            for seed in (42, 43) for name, of_seeds in values.items()]  # fmt: skip
    frame = uncertainty_table(curves, pd.DataFrame(rows, columns=TABLE.columns))
    assert frame["kind"].tolist() == ["reliability", "reliability", "coverage"]
    assert set(frame["imputer"]) == {"ddpm-guidance"}
    assert frame["predicted"].tolist() == pytest.approx([(0.1 / 40 + 1.2 / 40) ** 0.5, 0.5, 0.6])
    assert frame["actual"].tolist() == pytest.approx([(0.9 / 40 + 0.3 / 40) ** 0.5, 0.6, 0.6])
    assert frame["count"].tolist() == [40, 1, 2]


def test_draw_uncertainty() -> None:
    """A panel per rate with the diagonal and a line per imputer, and one with the coverage and its level."""
    rows = [("reliability", rate, imputer, x, 2 * x, 100) for rate in (0.5, 0.1) for imputer in ("ddpm-guidance", "new")
            for x in (0.1, 0.2)]  # fmt: skip
    rows += [("coverage", rate, "ddpm-guidance", 0.6, 0.4 + rate, 3) for rate in (0.5, 0.1)]
    figure = draw_uncertainty(pd.DataFrame(rows, columns=COLUMNS))
    assert [axis.get_title() for axis in figure.axes] == [
        "training missing rate 0.1", "training missing rate 0.5", "coverage (dashed: nominal)",
    ]  # fmt: skip
    diagonal, first, second = figure.axes[0].lines
    assert diagonal.get_xdata().tolist() == diagonal.get_ydata().tolist()
    assert (first.get_label(), second.get_label()) == ("ddpm-guidance", "new")
    assert first.get_ydata().tolist() == [0.2, 0.4]
    assert first.get_color() == colour_of("ddpm-guidance")
    level, covered = figure.axes[2].lines
    assert list(level.get_ydata()) == [0.6, 0.6]
    assert covered.get_xdata().tolist() == [0.1, 0.5]
    assert covered.get_ydata().tolist() == [0.5, 0.9]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["ddpm-guidance", "new"]


def test_bins_with_few_pixels_are_not_drawn() -> None:
    """One pixel's error is noise: it stays in the table only."""
    rows = [("reliability", 0.5, "new", 0.1, 0.1, 9999), ("reliability", 0.5, "new", 0.5, 0.1, 1)]
    figure = draw_uncertainty(pd.DataFrame(rows, columns=COLUMNS))
    assert figure.axes[0].lines[1].get_xdata().tolist() == [0.1]


def test_draw_uncertainty_of_nothing() -> None:
    """Only deterministic imputers, or one draw: the figure says so."""
    frame = uncertainty_table({(0.5, "mean"): [np.empty((0, 3))]}, TABLE)
    assert list(frame.columns) == COLUMNS
    figure = draw_uncertainty(frame)
    assert figure.axes[0].texts[0].get_text() == "no imputer gives several draws"
