"""The paper's figures and the tables over all cells of the grid.

Reads the cells that the params name, never "whatever files are there": files of other grids are removed from the input
folders (they stay in DVC's cache), so that they neither enter a mean nor change what DVC sees.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from ldmiss.files.atomic import atomic_write, save_text
from ldmiss_pipeline.artifacts.arrays import load_arrays
from ldmiss_pipeline.artifacts.curves import load_curve
from ldmiss_pipeline.artifacts.json_files import load_checked_json, save_json
from ldmiss_pipeline.artifacts.paths import CLAIMS, CURVES, PLOTS, SUMMARY, TABLE, Item, remove_others
from ldmiss_pipeline.config.schema import Grid
from ldmiss_pipeline.paper.claims import claims_document
from ldmiss_pipeline.paper.figures import Drawn, Shown, draw_figures
from ldmiss_pipeline.paper.published import compare_published
from ldmiss_pipeline.paper.tables import summarise, tidy
from ldmiss_pipeline.running.context import Context

_DPI = 150


def run(context: Context) -> str:
    """Write the table, the summary and the claims in `metrics/` and, in `plots/`, each PNG beside its CSV."""
    grid, num_columns = context.params.grid, context.params.plot.num_columns
    items = [Item(rate, seed) for rate in grid.missing_rates for seed in grid.seeds]
    remove_others(path for item in items for path in (item.metrics(), item.sheet()))
    of_grid = ("classifier.csv", *(f"-{item.cell}.csv" for item in items))
    remove_others(path for path in CURVES.glob("*.csv") if path.name.endswith(of_grid))
    models = sorted({path.name.removesuffix(f"-{items[0].cell}.csv") for path in CURVES.glob(f"*-{items[0].cell}.csv")})

    cells = [load_checked_json(item.metrics()) for item in items]
    table = tidy(cells)
    sheets = {
        (float(cell["missing_rate"]), int(cell["seed"])): _sheet(item, cell)
        for item, cell in zip(items, cells, strict=True)
    }
    one_seed = [item for item in items if item.seed == grid.seeds[0]]
    curves = {
        (model, str(item.missing_rate)): losses
        for model in models
        for item in one_seed
        if (losses := load_curve(item.curve(model)))  # a method in closed form has none
    }
    figures = draw_run(cells, table, sheets, curves, grid, num_columns)
    save_figures(PLOTS, figures)
    save_text(TABLE, table.to_csv(index=False))
    save_json(SUMMARY, summarise(cells))
    save_json(CLAIMS, claims_document(table))
    return f"{len(items)} cells, {len(table)} numbers, {len(figures)} figures in {PLOTS}/"


def draw_run(
    cells: Sequence[Mapping[str, Any]],
    table: pd.DataFrame,
    sheets: Mapping[tuple[float, int], Mapping[str, NDArray[Any]]],
    curves: Mapping[tuple[str, str], list[float]],
    grid: Grid,
    num_columns: int,
) -> dict[str, Drawn]:
    """The figures of a run, by name, from its cells (not all of the grid need be there) and their table."""
    shown = Shown(
        rates=grid.missing_rates,
        seeds=grid.seeds,
        generators=_methods(cells, "generation"),
        imputers=_methods(cells, "imputation"),
        sheets=sheets,
        curves=curves,
        published=compare_published(table).mse,
        num_columns=num_columns,
    )
    return draw_figures(table, shown)


def save_figures(folder: Path, figures: Mapping[str, Drawn], *, tables: bool = True) -> None:
    """Write each figure as PNG, beside the CSV that it was drawn from where `tables` are wanted."""
    for name, (table, figure) in figures.items():
        if tables:
            save_text(folder / f"{name}.csv", table.to_csv(index=False))
        atomic_write(
            folder / f"{name}.png",
            lambda file, figure=figure: figure.savefig(file, format="png", dpi=_DPI, metadata={"Software": None}),  # type: ignore[misc]
        )


def _methods(cells: Sequence[Mapping[str, Any]], task: str) -> list[str]:
    return list(dict.fromkeys(method for cell in cells for method in cell[task]))


def _sheet(item: Item, cell: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    names = [f"samples/{method}" for method in cell["generation"]]
    names += [f"{kind}/{imputer}" for imputer in cell["imputation"] for kind in ("imputed", "reliability")]
    names += ["truth", "observed"]
    return dict(zip(names, load_arrays(item.sheet(), *names), strict=True))
