"""Metrics against the missing rate and training curves, and the tables they are drawn from."""

import numpy as np
import pandas as pd
import pytest

from ldmiss.figures.curves import against_rate, draw_against_rate, draw_training_curves, training_curves
from ldmiss.figures.style import colour_of

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
