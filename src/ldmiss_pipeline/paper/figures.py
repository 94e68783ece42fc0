"""All figures of a run, from its table, the few images kept of each cell, and the training curves.

How a figure is drawn is in `ldmiss.figures`: names, colours and markers in `style`, Figures 1 and 3 in `curves`,
Figures 2 and 4 in `image_grids`, the training curves in `losses`, the uncertainty in `reliability`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ldmiss.figures.curves import against_rate, draw_against_rate
from ldmiss.figures.image_grids import MISSING_GREY, draw_image_grids, image_rows
from ldmiss.figures.losses import draw_training_curves, training_curves
from ldmiss.figures.reliability import draw_uncertainty, uncertainty_table

GENERATION_METRICS = ["fid", "is"]
IMPUTATION_METRICS = ["mse", "fid", "is"]
HELD_OUT_METRICS = ["rmse", "mae", "crps"]
"""Of a person's own images, in the units of the data."""
NO_GENERATION_METRICS = (
    "generated images were not measured:\nFID and IS need a classifier,\nwhich images without labels do not have"
)

ImageGrid = Mapping[str, NDArray[Any]]
"""The few images kept of a cell, and its reliability curves, by name, as the stage `evaluate` writes them."""
FigureWithData = tuple[pd.DataFrame, Figure]
"""The table that a figure was drawn from, and the figure."""


@dataclass(frozen=True)
class FigureInputs:
    """What the figures show beside the table.

    Attributes:
        rates, seeds: of the grid of cells; images and curves are those of the first seed.
        generators, imputers: in the order of their panels.
        image_grids: (missing rate, seed) -> arrays by name, for every cell.
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

    def first_images(self, rate: float, name: str) -> NDArray[Any]:
        """The first images of a name, as many as stand in a row, in the cell of the first seed."""
        return self.image_grids[(rate, self.seeds[0])][name][: self.num_columns]


def draw_figures(table: pd.DataFrame, inputs: FigureInputs) -> dict[str, FigureWithData]:
    """Name -> the table a figure was drawn from, and the figure.

    Args:
        table: tidy (`ldmiss_pipeline.paper.tables.tidy`).
        inputs: the rest.
    """
    generation = against_rate(table, "generation", GENERATION_METRICS)
    samples = sample_grid(inputs)
    held_out = (table["metric"] == "rmse").any()
    imputation_metrics = HELD_OUT_METRICS if held_out else IMPUTATION_METRICS
    imputation = against_rate(table, "imputation", imputation_metrics)
    imputed = imputation_grid(inputs)
    shape = inputs.first_images(inputs.rates[0], "truth").shape[1:]
    curves = training_curves(inputs.curves)
    uncertainty = uncertainty_table(_reliability(inputs), table)
    rows_are = "training\nmissing rate" if len(inputs.rates) > 1 else ""
    return {
        "figure1": (generation, draw_against_rate(generation, GENERATION_METRICS, without=NO_GENERATION_METRICS)),
        "figure2": (samples, draw_image_grids(samples, shape, num_panel_columns=1, row_title=rows_are)),
        "figure3": (
            imputation,
            draw_against_rate(imputation, imputation_metrics, enlarged=["is"], published=inputs.published),
        ),
        "figure4": (imputed, draw_image_grids(imputed, shape, num_panel_columns=2, row_title=rows_are)),
        "training_curves": (curves, draw_training_curves(curves)),
        "uncertainty": (uncertainty, draw_uncertainty(uncertainty)),
    }


def sample_grid(inputs: FigureInputs) -> pd.DataFrame:
    """Figure 2: a panel per method, a row per missing rate; of a single rate, one panel with a row per method."""
    rows = [part for method in inputs.generators for part in _rows_by_rate(inputs, method, f"samples/{method}")]
    return pd.concat(rows, ignore_index=True)


def imputation_grid(inputs: FigureInputs) -> pd.DataFrame:
    """Figure 4: the truth and what was observed of it, then as Figure 2 for the imputers.

    What is missing is grey. Of a person's own images there is no truth: the first row is what is known of them, the
    second what is left of that.
    """
    truth, known, observed = (inputs.first_images(inputs.rates[0], name) for name in ("truth", "known", "observed"))
    panel = "test images" if len(inputs.rates) > 1 else _single_panel(inputs)
    rows = [
        image_rows(panel, label, np.where(shown, truth, np.uint8(MISSING_GREY)))
        for label, shown in (("truth" if known.all() else "known", known), ("observed", observed))
    ]
    for imputer in inputs.imputers:
        rows += _rows_by_rate(inputs, imputer, f"imputed/{imputer}")
    return pd.concat(rows, ignore_index=True)


def _rows_by_rate(inputs: FigureInputs, method: str, name: str) -> list[pd.DataFrame]:
    """The first images of a method at every missing rate."""
    if len(inputs.rates) == 1:
        return [image_rows(_single_panel(inputs), method, inputs.first_images(inputs.rates[0], name))]
    return [image_rows(method, str(rate), inputs.first_images(rate, name)) for rate in inputs.rates]


def _single_panel(inputs: FigureInputs) -> str:
    return f"training missing rate {inputs.rates[0]:g}"


def _reliability(inputs: FigureInputs) -> dict[tuple[float, str], list[NDArray[Any]]]:
    """(missing rate, imputer) -> the reliability curve of each seed, float64 (B, 3)."""
    return {
        (rate, imputer): [inputs.image_grids[(rate, seed)][f"reliability/{imputer}"] for seed in inputs.seeds]
        for rate in inputs.rates
        for imputer in inputs.imputers
    }
