"""The paper's figures and the tables over all cells of the grid.

Reads the cells that the params name, never "whatever files are there": files of other grids are removed from the input
folders (they stay in DVC's cache), so that they neither enter a mean nor change what DVC sees.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ldmiss.figures.style import FORMATS, render
from ldmiss.files.atomic import save_bytes, save_text
from ldmiss_pipeline.artifacts.arrays import load_arrays
from ldmiss_pipeline.artifacts.curves import load_curve
from ldmiss_pipeline.artifacts.json_files import load_checked_json, save_json
from ldmiss_pipeline.artifacts.paths import CURVES, IMPUTED, SAMPLES, Item, remove_others
from ldmiss_pipeline.paper.figures import FigureInputs, FigureWithData, ImageGrid, draw_figures
from ldmiss_pipeline.paper.outputs import CLAIMS, PLOTS, SUMMARY, TABLE
from ldmiss_pipeline.paper.published import compare_published
from ldmiss_pipeline.paper.tables import summarise, tidy
from ldmiss_pipeline.paper.verdicts import claims_document
from ldmiss_pipeline.running.context import Context


def run(context: Context) -> str:
    """Write the table, the summary and the claims in `metrics/`, and each figure with its data in `plots/`."""
    grid = context.params.grid
    items = [Item(rate, seed) for rate in grid.missing_rates for seed in grid.seeds]
    train = context.params.train
    models = sorted([*(model for model, seeds in train.seeds.model_dump().items() if seeds), *train.methods])
    _remove_others(items, models)
    cells = [load_checked_json(item.metrics()) for item in items]
    table = tidy(cells)
    inputs = FigureInputs(
        rates=grid.missing_rates,
        seeds=grid.seeds,
        generators=_methods(cells, "generation"),
        imputers=_methods(cells, "imputation"),
        image_grids={
            (float(cell["missing_rate"]), int(cell["seed"])): _image_grid(item, cell)
            for item, cell in zip(items, cells, strict=True)
        },
        curves=_curves([item for item in items if item.seed == grid.seeds[0]], models),
        published=compare_published(table).mse,
        num_columns=context.params.plot.num_columns,
    )
    figures = draw_figures(table, inputs)
    for name, figure in figures.items():
        _save_figure(PLOTS / name, figure)
    save_text(TABLE, table.to_csv(index=False))
    save_json(SUMMARY, summarise(cells))
    save_json(CLAIMS, claims_document(table))
    return f"{len(items)} cells, {len(table)} numbers, {len(figures)} figures in {PLOTS}/"


def _remove_others(items: Sequence[Item], models: Sequence[str]) -> None:
    """What other grids left: cells, curves, and the folders that DVC has emptied."""
    remove_others(path for item in items for path in (item.metrics(), item.image_grid()))
    remove_others([CURVES / "classifier.csv", *(item.curve(model) for item in items for model in models)])
    for folder in [*SAMPLES.glob("*"), *IMPUTED.glob("*")]:
        with suppress(OSError):  # it is not empty
            folder.rmdir()


def _curves(items: Sequence[Item], models: Sequence[str]) -> dict[tuple[str, str], list[float]]:
    """Loss curves by model and missing rate; a model in closed form has none."""
    curves = {(model, str(item.missing_rate)): load_curve(item.curve(model)) for model in models for item in items}
    return {key: losses for key, losses in curves.items() if losses}


def _save_figure(path: Path, figure: FigureWithData) -> None:
    """Write `<path>.png` and `<path>.pdf`, the same bytes at every run, beside the CSV that they were drawn from."""
    table, drawn = figure
    save_text(path.with_suffix(".csv"), table.to_csv(index=False))
    for file_format in FORMATS:
        save_bytes(path.with_suffix(f".{file_format}"), render(drawn, file_format))


def _methods(cells: Sequence[Mapping[str, Any]], task: str) -> list[str]:
    return list(dict.fromkeys(method for cell in cells for method in cell[task]))


def _image_grid(item: Item, cell: Mapping[str, Any]) -> ImageGrid:
    names = [f"samples/{method}" for method in cell["generation"]]
    names += [f"{kind}/{imputer}" for imputer in cell["imputation"] for kind in ("imputed", "reliability")]
    names += ["truth", "known", "observed"]
    return dict(zip(names, load_arrays(item.image_grid(), *names), strict=True))
