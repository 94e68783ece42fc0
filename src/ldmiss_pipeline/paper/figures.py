"""All figures of a run, from its table, the few images kept of each cell, and the training curves.

What was not measured is left out where it can be seen: a gap in a curve and a line below it, grey squares in a sheet.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ldmiss.figures.curves import against_rate, draw_against_rate, draw_training_curves, training_curves
from ldmiss.figures.image_grids import ABSENT_GREY, MISSING_GREY, draw_sheets, image_rows
from ldmiss.figures.reliability import draw_uncertainty, uncertainty_table
from ldmiss.missingness.mechanisms import remove_missing

GENERATION_METRICS = ["fid", "is"]
IMPUTATION_METRICS = ["mse", "fid", "is"]

_SIZE = 28

Sheet = Mapping[str, NDArray[Any]]
Drawn = tuple[pd.DataFrame, Figure]


@dataclass(frozen=True)
class Shown:
    """What the figures show beside the table.

    Attributes:
        rates, seeds: of the grid; images and curves are those of the first seed.
        generators, imputers: in the order of their panels.
        sheets: (missing rate, seed) -> arrays by name, as `stages.evaluate` writes them; a cell may lack any.
        curves: (model, missing rate as a text) -> mean loss of each epoch.
        published: method -> published MSE, for Figure 3.
        num_columns: images in a row.
    """

    rates: Sequence[float]
    seeds: Sequence[int]
    generators: Sequence[str]
    imputers: Sequence[str]
    sheets: Mapping[tuple[float, int], Sheet]
    curves: Mapping[tuple[str, str], list[float]]
    published: Mapping[str, float]
    num_columns: int

    @property
    def of_first_seed(self) -> dict[float, Sheet]:
        """The sheets that are shown, by missing rate."""
        return {rate: self.sheets.get((rate, self.seeds[0]), {}) for rate in self.rates}


def draw_figures(table: pd.DataFrame, shown: Shown) -> dict[str, Drawn]:
    """Name -> the table a figure was drawn from, and the figure; without those that nothing was measured for.

    Args:
        table: tidy (`ldmiss_pipeline.paper.tables.tidy`).
        shown: the rest.
    """
    figures: dict[str, Drawn] = {}
    if (table["task"] == "generation").any():
        generation = against_rate(table, "generation", GENERATION_METRICS, rates=shown.rates)
        figures["figure1"] = generation, draw_against_rate(generation, GENERATION_METRICS, methods=shown.generators)
        samples = sample_sheet(shown)
        figures["figure2"] = samples, draw_sheets(samples, num_panel_columns=3, row_title="training missing rate")
    if (table["task"] == "imputation").any():
        imputation = against_rate(table, "imputation", IMPUTATION_METRICS, rates=shown.rates)
        figures["figure3"] = (
            imputation,
            draw_against_rate(imputation, IMPUTATION_METRICS, methods=shown.imputers, published=shown.published),
        )
        imputed = imputation_sheet(shown)
        figures["figure4"] = imputed, draw_sheets(imputed, num_panel_columns=2, row_title="training missing rate")
    if shown.curves:
        curves = training_curves(dict(shown.curves))
        figures["training_curves"] = curves, draw_training_curves(curves)
    uncertainty = uncertainty_table(_reliability(shown), table)
    figures["uncertainty"] = uncertainty, draw_uncertainty(uncertainty)
    return figures


def sample_sheet(shown: Shown) -> pd.DataFrame:
    """Figure 2: a panel per method, a row per missing rate."""
    rows: list[dict[str, Any]] = []
    for method in shown.generators:
        for rate, sheet in shown.of_first_seed.items():
            rows += _row(method, rate, sheet.get(f"samples/{method}"), shown.num_columns)
    return pd.DataFrame(rows)


def imputation_sheet(shown: Shown) -> pd.DataFrame:
    """Figure 4: a panel per imputer with the truth, what was observed of it, and a row per training missing rate."""
    sheets = shown.of_first_seed
    of_truth = next(sheet for sheet in [*sheets.values(), *shown.sheets.values()] if "truth" in sheet)
    truth, observed = (of_truth[name][: shown.num_columns] for name in ("truth", "observed"))
    incomplete = remove_missing(truth, observed)
    incomplete[~observed] = MISSING_GREY
    rows: list[dict[str, Any]] = []
    for imputer in shown.imputers:
        rows += image_rows(imputer, "truth", truth) + image_rows(imputer, "observed", incomplete)
        for rate, sheet in sheets.items():
            rows += _row(imputer, rate, sheet.get(f"imputed/{imputer}"), shown.num_columns)
    return pd.DataFrame(rows)


def _row(panel: str, rate: float, images: NDArray[np.uint8] | None, num_columns: int) -> list[dict[str, Any]]:
    if images is None:
        absent = np.full((num_columns, _SIZE, _SIZE), ABSENT_GREY, dtype=np.uint8)
        return image_rows(panel, f"{rate} (not measured)", absent)
    return image_rows(panel, str(rate), images[:num_columns])


def _reliability(shown: Shown) -> dict[tuple[float, str], list[NDArray[np.float64]]]:
    """(missing rate, imputer) -> the reliability curve of each seed."""
    curves: dict[tuple[float, str], list[NDArray[np.float64]]] = {}
    for rate in shown.rates:
        for seed in shown.seeds:
            sheet = shown.sheets.get((rate, seed), {})
            for imputer in (name for name in shown.imputers if f"reliability/{name}" in sheet):
                curves.setdefault((rate, imputer), []).append(sheet[f"reliability/{imputer}"])
    return curves
