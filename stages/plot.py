"""The paper's figures and the tables over all cells of the grid.

Reads the cells that the params name, never "whatever files are there": files of other grids are removed from the input
folders (they stay in DVC's cache), so that they neither enter a mean nor change what DVC sees.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ldmiss.errors import InputError, one_line
from ldmiss.evaluation.claims import claims_document
from ldmiss.evaluation.published import compare_published
from ldmiss.evaluation.tables import summarise, tidy
from ldmiss.figures.curves import against_rate, draw_against_rate, draw_training_curves, training_curves
from ldmiss.figures.reliability import draw_uncertainty, uncertainty_table
from ldmiss.figures.sheets import MISSING_GREY, draw_sheets, image_rows
from ldmiss.missingness import remove_missing
from stages.context import Context
from stages.io import atomic_write, load_arrays, load_checked_json, save_json, save_text
from stages.paths import CLAIMS, CURVES, PLOTS, SUMMARY, TABLE, Item, remove_others

GENERATION_METRICS = ["fid", "is"]
IMPUTATION_METRICS = ["mse", "fid", "is"]
_DPI = 150


def run(context: Context) -> str:
    """Write the table, the summary and the claims in `metrics/` and, in `plots/`, each PNG beside its CSV."""
    grid, num_columns = context.params.grid, context.params.plot.num_columns
    items = [Item(rate, seed) for rate in grid.missing_rates for seed in grid.seeds]
    one_seed = [item for item in items if item.seed == grid.seeds[0]]
    remove_others(path for item in items for path in (item.metrics(), item.sheet()))
    of_grid = ("classifier.csv", *(f"-{item.cell}.csv" for item in items))
    remove_others(path for path in CURVES.glob("*.csv") if path.name.endswith(of_grid))
    models = sorted({path.name.removesuffix(f"-{items[0].cell}.csv") for path in CURVES.glob(f"*-{items[0].cell}.csv")})

    cells = [load_checked_json(item.metrics()) for item in items]
    table = tidy(cells)
    generation = against_rate(table, "generation", GENERATION_METRICS)
    _save_figure("figure1", generation, draw_against_rate(generation, GENERATION_METRICS))
    samples = _sample_sheet(one_seed, list(cells[0]["generation"]), num_columns)
    _save_figure("figure2", samples, draw_sheets(samples, num_panel_columns=3, row_title="training missing rate"))
    imputation = against_rate(table, "imputation", IMPUTATION_METRICS)
    published = compare_published(table).mse
    _save_figure("figure3", imputation, draw_against_rate(imputation, IMPUTATION_METRICS, published=published))
    imputed = _imputation_sheet(one_seed, list(cells[0]["imputation"]), num_columns)
    _save_figure("figure4", imputed, draw_sheets(imputed, num_panel_columns=2, row_title="training missing rate"))
    curves = training_curves({(model, str(item.missing_rate)): _curve(item, model)
                              for model in models for item in one_seed})  # fmt: skip
    _save_figure("training_curves", curves, draw_training_curves(curves))
    uncertainty = uncertainty_table(_reliability(items, list(cells[0]["imputation"])), table)
    _save_figure("uncertainty", uncertainty, draw_uncertainty(uncertainty))

    save_text(TABLE, table.to_csv(index=False))
    save_json(SUMMARY, summarise(cells))
    save_json(CLAIMS, claims_document(table))
    return f"{len(items)} cells, {len(table)} numbers, 6 figures in {PLOTS}/"


def _sample_sheet(items: list[Item], methods: list[str], num_columns: int) -> pd.DataFrame:
    """Figure 2: a panel per method, a row per missing rate."""
    rows: list[dict[str, Any]] = []
    for method in methods:
        for item in items:
            (images,) = load_arrays(item.sheet(), f"samples/{method}")
            rows += image_rows(method, str(item.missing_rate), images[:num_columns])
    return pd.DataFrame(rows)


def _imputation_sheet(items: list[Item], imputers: list[str], num_columns: int) -> pd.DataFrame:
    """Figure 4: a panel per imputer with the truth, what was observed of it, and a row per training missing rate."""
    rows: list[dict[str, Any]] = []
    for imputer in imputers:
        truth, observed = (array[:num_columns] for array in load_arrays(items[0].sheet(), "truth", "observed"))
        shown = remove_missing(truth, observed)
        shown[~observed] = MISSING_GREY
        rows += image_rows(imputer, "truth", truth) + image_rows(imputer, "observed", shown)
        for item in items:
            (images,) = load_arrays(item.sheet(), f"imputed/{imputer}")
            rows += image_rows(imputer, str(item.missing_rate), images[:num_columns])
    return pd.DataFrame(rows)


def _reliability(items: list[Item], imputers: list[str]) -> dict[tuple[float, str], list[NDArray[np.float64]]]:
    """(missing rate, imputer) -> the reliability curve of each seed."""
    curves: dict[tuple[float, str], list[NDArray[np.float64]]] = {}
    for item in items:
        assert item.missing_rate is not None
        for imputer in imputers:
            (curve,) = load_arrays(item.sheet(), f"reliability/{imputer}")
            curves.setdefault((item.missing_rate, imputer), []).append(curve)
    return curves


def _curve(item: Item, model: str) -> list[float]:
    path = item.curve(model)
    try:
        losses: list[float] = pd.read_csv(path, dtype={"epoch": int, "loss": float})["loss"].tolist()
    except (ValueError, KeyError) as error:
        raise InputError(f"{path}: corrupted, or no loss curve ({one_line(error)})") from None
    return losses


def _save_figure(name: str, table: pd.DataFrame, figure: Figure) -> None:
    save_text(PLOTS / f"{name}.csv", table.to_csv(index=False))
    atomic_write(
        PLOTS / f"{name}.png", lambda file: figure.savefig(file, format="png", dpi=_DPI, metadata={"Software": None})
    )
