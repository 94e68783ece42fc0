"""Predicted against actual errors, and the table they are drawn from."""

import numpy as np
import pandas as pd
import pytest

from ldmiss.figures.reliability import COLUMNS, draw_uncertainty, uncertainty_table
from ldmiss.figures.style import style_of

TABLE = pd.DataFrame(
    [(0.5, 42, "imputation", "mean", "mse", 0.1)],
    columns=["missing_rate", "seed", "task", "method", "metric", "value"],
)


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
        "training missing rate 0.1", "training missing rate 0.5", "coverage",
    ]  # fmt: skip
    diagonal, first, second = figure.axes[0].lines
    assert diagonal.get_xdata().tolist() == diagonal.get_ydata().tolist()
    assert (first.get_label(), second.get_label()) == ("DDPM, self-guidance", "new")
    assert first.get_ydata().tolist() == [0.2, 0.4]
    assert first.get_color() == style_of("ddpm-guidance").colour
    level, covered = figure.axes[2].lines
    assert list(level.get_ydata()) == [0.6, 0.6]
    assert covered.get_xdata().tolist() == [0.1, 0.5]
    assert covered.get_ydata().tolist() == [0.5, 0.9]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["DDPM, self-guidance", "new"]


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
