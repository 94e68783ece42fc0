"""The figures of a run: which there are, and what the grids of images show."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from support.claims_world import world

from ldmiss.figures.image_grids import MISSING_GREY
from ldmiss.figures.style import ONE_COLUMN, TWO_COLUMNS
from ldmiss_pipeline.paper.figures import FigureInputs, draw_figures, imputation_grid, sample_grid

RATES, SEEDS = (0.0, 0.5), (42, 43)
THREE = (0.0, 0.5, 0.625)
GENERATORS, IMPUTERS = ["ldmiss", "ddpm"], ["ldmiss-guidance", "gaussian"]


def images(value: int) -> NDArray[np.uint8]:
    """Five grey images of 2 x 2 pixels; the n-th one is brighter by n."""
    return np.broadcast_to(np.arange(value, value + 5, dtype=np.uint8)[:, None, None, None], (5, 1, 2, 2))


def arrays(rate: float, seed: int) -> dict[str, NDArray[Any]]:
    """What is kept of a cell: bright in the second half of the methods, by 10 with the rate, by 100 with the seed."""
    value = int(20 * rate) + 100 * (seed - SEEDS[0])
    kept = {f"samples/{method}": images(value + 30 * i) for i, method in enumerate(GENERATORS)}
    kept |= {f"imputed/{imputer}": images(value + 30 * i) for i, imputer in enumerate(IMPUTERS)}
    kept |= {f"reliability/{imputer}": np.full((1, 3), [0.1, 0.2, seed]) for imputer in IMPUTERS}
    observed = np.ones((5, 1, 2, 2), dtype=bool)
    observed[:, :, 0, 0] = False
    return {**kept, "truth": images(200), "known": np.ones_like(observed), "observed": observed}


INPUTS = FigureInputs(
    rates=RATES,
    seeds=SEEDS,
    generators=GENERATORS,
    imputers=IMPUTERS,
    image_grids={(rate, seed): arrays(rate, seed) for rate in RATES for seed in SEEDS},
    curves={("vae", str(rate)): [2.0, 1.0] for rate in RATES},
    published={"EMFlow": 0.01},
    num_columns=3,
)


def first_pixels(grid: pd.DataFrame, panel: str) -> dict[str, list[int]]:
    """Row -> the first pixel of each image."""
    return {str(row): part["p0"].tolist() for row, part in grid[grid["panel"] == panel].groupby("row", sort=False)}


def test_samples() -> None:
    """A panel per generator, a row per rate, as many images as asked for, of the first seed."""
    grid = sample_grid(INPUTS)
    assert list(dict.fromkeys(grid["panel"])) == GENERATORS
    assert first_pixels(grid, "ldmiss") == {"0.0": [0, 1, 2], "0.5": [10, 11, 12]}
    assert first_pixels(grid, "ddpm") == {"0.0": [30, 31, 32], "0.5": [40, 41, 42]}


def test_imputed_images() -> None:
    """The truth and the observed pixels, with the others grey, once; then a panel per imputer with a row per rate."""
    grid = imputation_grid(INPUTS)
    assert list(dict.fromkeys(grid["panel"])) == ["test images", *IMPUTERS]
    assert first_pixels(grid, "test images") == {"truth": [200, 201, 202], "observed": 3 * [MISSING_GREY]}
    assert first_pixels(grid, "gaussian") == {"0.0": [30, 31, 32], "0.5": [40, 41, 42]}
    assert grid.loc[grid["row"] == "observed", "p1"].tolist() == [200, 201, 202]


def test_images_of_a_single_rate_are_one_panel() -> None:
    """A row per method, so that methods are compared at a glance."""
    inputs = replace(INPUTS, rates=[0.5])
    panel = "training missing rate 0.5"
    assert first_pixels(sample_grid(inputs), panel) == {"ldmiss": [10, 11, 12], "ddpm": [40, 41, 42]}
    assert list(first_pixels(imputation_grid(inputs), panel)) == ["truth", "observed", *IMPUTERS]


def test_each_figure_with_its_data() -> None:
    """Six figures; the published numbers stand in Figure 3, and the uncertainty is pooled over all seeds."""
    figures = draw_figures(world(RATES, SEEDS), INPUTS)
    assert list(figures) == ["figure1", "figure2", "figure3", "figure4", "training_curves", "uncertainty"]
    drawn = {name: set(zip(table["metric"], table["method"], strict=True)) for name, (table, _) in figures.items()
             if name in ("figure1", "figure3")}  # fmt: skip
    assert ("fid", "ldmiss") in drawn["figure1"]
    assert ("mse", "gaussian") in drawn["figure3"]
    (published,) = figures["figure3"][1].axes[0].child_axes
    assert [label.get_text() for label in published.get_xticklabels()] == ["EMFlow"]
    curves = figures["training_curves"][0]
    assert curves.loc[curves["missing_rate"] == "0.5", "loss"].tolist() == [2.0, 1.0]
    assert figures["uncertainty"][0]["count"].tolist() == 4 * [sum(SEEDS)]


def test_a_truth_that_nobody_knows_is_grey() -> None:
    """Of a person's own images: the row says what it shows."""
    grids = {cell: {**kept} for cell, kept in INPUTS.image_grids.items()}
    for kept in grids.values():
        kept["known"] = np.ones((5, 1, 2, 2), dtype=bool)
        kept["known"][:, :, 1, 1] = False
        kept["observed"] = kept["observed"] & kept["known"]
    rows = imputation_grid(replace(INPUTS, image_grids=grids))
    shown = {str(row): part for row, part in rows[rows["panel"] == "test images"].groupby("row", sort=False)}
    assert list(shown) == ["known", "observed"]
    assert shown["known"][["p0", "p3"]].to_numpy().tolist() == [[200 + i, MISSING_GREY] for i in range(3)]
    assert shown["observed"][["p0", "p3"]].to_numpy().tolist() == 3 * [[MISSING_GREY, MISSING_GREY]]


def words(figure: Figure) -> str:
    """What stands in the panels of a figure."""
    return " ".join(" ".join(text.get_text().split()) for axis in figure.axes for text in axis.texts)


def test_without_a_classifier() -> None:
    """Figure 1 says why there is nothing, Figure 3 has the errors alone."""
    table = world(RATES, SEEDS)
    figures = draw_figures(table[~table["metric"].isin(["fid", "is", "accuracy"])], INPUTS)
    points, figure = figures["figure1"]
    assert points.empty
    assert words(figure).endswith("which images without labels do not have")
    points, figure = figures["figure3"]
    assert set(points["metric"]) == {"mse"}
    assert [axis.get_title()[:3] for axis in figure.axes] == ["MSE"]


def test_held_out_pixels() -> None:
    """In the units of the data: RMSE, absolute error and CRPS instead of MSE."""
    table = world(RATES, SEEDS)
    errors = table[table["metric"] == "mse"]
    held_out = pd.concat([errors, *(errors.assign(metric=metric) for metric in ("rmse", "mae", "crps"))])
    points, figure = draw_figures(held_out, INPUTS)["figure3"]
    assert list(dict.fromkeys(points["metric"])) == ["rmse", "mae", "crps"]
    assert [axis.get_title().split()[0] for axis in figure.axes[:3]] == ["RMSE,", "mean", "CRPS"]


@pytest.mark.parametrize(
    "inputs",
    [
        INPUTS,
        replace(INPUTS, rates=[0.5], generators=["ldmiss"], imputers=["gaussian"]),
        replace(INPUTS, rates=THREE, seeds=[42], image_grids={(rate, 42): arrays(rate, 42) for rate in THREE}),
    ],
)
def test_figures_fit_a_paper(inputs: FigureInputs) -> None:
    """One column wide or two, whatever was run, and nothing is cut off at the edges."""
    table = world(inputs.rates, inputs.seeds)
    table = table[table["method"].isin([*inputs.generators, *inputs.imputers])]
    coverage = [(rate, seed, "imputation", method, metric, 0.5) for rate in inputs.rates for seed in inputs.seeds
                for method in inputs.imputers for metric in ("coverage", "coverage_level")]  # fmt: skip
    table = pd.concat([table, pd.DataFrame(coverage, columns=table.columns)])
    for name, (_, figure) in draw_figures(table, inputs).items():
        FigureCanvasAgg(figure).draw()
        width, height = figure.get_size_inches()
        assert round(width, 6) in (ONE_COLUMN, TWO_COLUMNS), name
        box = figure.get_tightbbox()
        assert min(box.x0, box.y0, width - box.x1, height - box.y1) > -0.01, name
