"""All figures of a run, from its table, the few images kept of each cell, and the training curves.

What was not measured is left out where it can be seen: a gap in a curve and a line below it, grey squares in a grid
of images. How a figure is drawn is in `ldmiss.figures`: colours and markers in `style`, Figures 1 and 3 in `curves`,
Figures 2 and 4 in `image_grids`, the uncertainty in `reliability`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ldmiss.figures.curves import against_rate, draw_against_rate, draw_training_curves, training_curves
from ldmiss.figures.image_grids import ABSENT_GREY, MISSING_GREY, draw_image_grids, image_rows
from ldmiss.figures.reliability import draw_uncertainty, uncertainty_table
from ldmiss.missingness.mechanisms import remove_missing

GENERATION_METRICS = ["fid", "is"]
IMPUTATION_METRICS = ["mse", "fid", "is"]

_SIZE = 28

ImageGrid = Mapping[str, NDArray[Any]]
"""The few images kept of a cell, and its reliability curves, by name, as the stage `evaluate` writes them."""
FigureWithData = tuple[pd.DataFrame, Figure]
"""The table that a figure was drawn from, and the figure."""


@dataclass(frozen=True)
class FigureInputs:
    """What the figures show beside the table.

    Attributes:
        rates, seeds: of the grid; images and curves are those of the first seed.
        generators, imputers: in the order of their panels.
        image_grids: (missing rate, seed) -> arrays by name; a cell may lack any.
        curves: (model, missing rate as a text) -> mean loss of each epoch.
        published: method -> published MSE, for Figure 3.
        num_columns: images in a row.
    """

    rates: Sequence[float]
    seeds: Sequence[int]
    generators: Sequence[str]
    imputers: Sequence[str]
    image_grids: Mapping[tuple[float, int], ImageGrid]
    curves: Mapping[tuple[str, str], list[float]]
    published: Mapping[str, float]
    num_columns: int

    @property
    def of_first_seed(self) -> dict[float, ImageGrid]:
        """The image grids that are shown, by missing rate."""
        return {rate: self.image_grids.get((rate, self.seeds[0]), {}) for rate in self.rates}


def draw_figures(table: pd.DataFrame, inputs: FigureInputs) -> dict[str, FigureWithData]:
    """Name -> the table a figure was drawn from, and the figure; without those that nothing was measured for.

    Args:
        table: tidy (`ldmiss_pipeline.paper.tables.tidy`).
        inputs: the rest.
    """
    figures: dict[str, FigureWithData] = {}
    if (table["task"] == "generation").any():
        generation = against_rate(table, "generation", GENERATION_METRICS, rates=inputs.rates)
        figures["figure1"] = generation, draw_against_rate(generation, GENERATION_METRICS, methods=inputs.generators)
        samples = sample_grid(inputs)
        figures["figure2"] = samples, draw_image_grids(samples, num_panel_columns=3, row_title="training missing rate")
    if (table["task"] == "imputation").any():
        imputation = against_rate(table, "imputation", IMPUTATION_METRICS, rates=inputs.rates)
        figures["figure3"] = (
            imputation,
            draw_against_rate(imputation, IMPUTATION_METRICS, methods=inputs.imputers, published=inputs.published),
        )
        imputed = imputation_grid(inputs)
        figures["figure4"] = imputed, draw_image_grids(imputed, num_panel_columns=2, row_title="training missing rate")
    if inputs.curves:
        curves = training_curves(dict(inputs.curves))
        figures["training_curves"] = curves, draw_training_curves(curves)
    uncertainty = uncertainty_table(_reliability(inputs), table)
    figures["uncertainty"] = uncertainty, draw_uncertainty(uncertainty)
    return figures


def sample_grid(inputs: FigureInputs) -> pd.DataFrame:
    """Figure 2: a panel per method, a row per missing rate."""
    rows: list[dict[str, Any]] = []
    for method in inputs.generators:
        for rate, image_grid in inputs.of_first_seed.items():
            rows += _row(method, rate, image_grid.get(f"samples/{method}"), inputs.num_columns)
    return pd.DataFrame(rows)


def imputation_grid(inputs: FigureInputs) -> pd.DataFrame:
    """Figure 4: a panel per imputer with the truth, what was observed of it, and a row per training missing rate."""
    image_grids = inputs.of_first_seed
    of_truth = next(found for found in [*image_grids.values(), *inputs.image_grids.values()] if "truth" in found)
    truth, observed = (of_truth[name][: inputs.num_columns] for name in ("truth", "observed"))
    incomplete = remove_missing(truth, observed)
    incomplete[~observed] = MISSING_GREY
    rows: list[dict[str, Any]] = []
    for imputer in inputs.imputers:
        rows += image_rows(imputer, "truth", truth) + image_rows(imputer, "observed", incomplete)
        for rate, image_grid in image_grids.items():
            rows += _row(imputer, rate, image_grid.get(f"imputed/{imputer}"), inputs.num_columns)
    return pd.DataFrame(rows)


def _row(panel: str, rate: float, images: NDArray[np.uint8] | None, num_columns: int) -> list[dict[str, Any]]:
    if images is None:
        absent = np.full((num_columns, _SIZE, _SIZE), ABSENT_GREY, dtype=np.uint8)
        return image_rows(panel, f"{rate} (not measured)", absent)
    return image_rows(panel, str(rate), images[:num_columns])


def _reliability(inputs: FigureInputs) -> dict[tuple[float, str], list[NDArray[np.float64]]]:
    """(missing rate, imputer) -> the reliability curve of each seed."""
    curves: dict[tuple[float, str], list[NDArray[np.float64]]] = {}
    for rate in inputs.rates:
        for seed in inputs.seeds:
            image_grid = inputs.image_grids.get((rate, seed), {})
            for imputer in (name for name in inputs.imputers if f"reliability/{name}" in image_grid):
                curves.setdefault((rate, imputer), []).append(image_grid[f"reliability/{imputer}"])
    return curves
