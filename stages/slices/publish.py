"""`results/<name>/` from what slices brought: table, claims, figures, timings and where all of it is from."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from ldmiss.errors import InputError
from ldmiss.evaluation.claims import claims_document
from ldmiss.evaluation.tables import of_whole_seeds, tidy
from stages.io import save_json, save_text
from stages.paths import Item
from stages.plot import draw_run, save_figures
from stages.slices.baggage import result_contents, write_parts
from stages.slices.order import Order
from stages.slices.pieces import Piece, cell_of
from stages.slices.prepare import brought
from stages.slices.provenance import PAGE, PROTOCOL, protocol_rows, provenance

TIMING_COLUMNS = [
    "stage", "item", "seconds", "runs", "ended", "device", "dtype", "chunk_size", "peak_gpu_memory_mb",
    "torch", "commit", "machine", "time",
]  # fmt: skip


def publish(carried: Sequence[Path], out: Path, params_file: Path) -> str:
    """Write the folder; a line on what is in it. All pieces are in it, so that it stands for the folders it is from.

    Raises:
        InputError: nothing was measured with these params, or pieces that do not belong together.
    """
    with brought(carried, params_file) as home:
        pieces = home.pieces.read()
        if not pieces:
            others = ", ".join(path.name for path in (home.results / "pieces").glob("*")) or "none"
            raise InputError(f"{params_file}: nothing was measured with these params (others: {others})")
        if len(commits := sorted({piece.origin["commit"] for piece in pieces})) > 1:
            print(f"warning: pieces of {len(commits)} commits: {', '.join(commits)}; {PAGE} has each", file=sys.stderr)
        cells = cells_of(pieces, home.order, home.document)
        table = tidy(cells)
        timings = timing_table(home.timings, home.order)
        ours = (home.pieces.folders[0], home.results)
        write_parts(out, "results", result_contents(home.results, lambda path: path.parent in ours))
        protocol = protocol_rows(home.document, _full())
        page = provenance(out.name, pieces, home.order, protocol, home.pieces.sha256, timings)
    grid, shown = home.params.grid, home.params.plot.num_columns
    figures = draw_run(cells, table, *_shown(pieces, grid.seeds[0]), grid, shown)
    save_figures(out, figures, tables=False)
    save_text(out / "table.csv", table.to_csv(index=False))
    save_json(out / "claims.json", claims_document(of_whole_seeds(table)))
    save_text(out / "timings.csv", timings.to_csv(index=False))
    save_text(out / "params.yaml", params_file.read_text())
    save_json(out / PROTOCOL, protocol)
    save_text(out / PAGE, page)
    return f"{out}: {len(pieces)} pieces of {len(cells)} cells, {len(table)} numbers, {len(figures)} figures"


def _full() -> Any:
    """The params of the full protocol. Composing needs DVC, which is there at home, not where slices run."""
    from stages.compose import composed

    return yaml.safe_load(composed(["profile=paper", "grid=paper"]))


def cells_of(pieces: Sequence[Piece], order: Order, document: dict[str, Any]) -> list[dict[str, Any]]:
    """The metrics of each cell, as far as they were measured, in the order of the grid.

    A method that no cell has yet stands in the first one without metrics, so that figures name it as not measured.
    """
    methods = list(dict.fromkeys([*document["sample"]["methods"], *document["impute"]["methods"]]))
    cells = []
    for cell in order.pipeline.cells():
        of_cell = [piece for piece in pieces if _cell(piece) == (cell.missing_rate, cell.seed)]
        if of_cell:
            cells.append(cell_of(of_cell, methods, order.pipeline.work("evaluate", cell).stamp))
    for task, stage in (("generation", "sample"), ("imputation", "impute")):
        measured = {piece.item.method for piece in pieces if piece.task == task}
        cells[0][task] |= {method: {} for method in document[stage]["methods"] if method not in measured}
    return cells


def _shown(pieces: Sequence[Piece], seed: int) -> tuple[dict[tuple[float, int], Any], dict[tuple[str, str], Any]]:
    """Sheets by cell, and the loss curves of one seed by model and missing rate."""
    sheets: dict[tuple[float, int], dict[str, Any]] = {}
    curves: dict[tuple[str, str], list[float]] = {}
    for piece in pieces:
        sheets.setdefault(_cell(piece), {}).update(piece.measured.sheet)
        for name, losses in piece.measured.sheet.items():
            if name.startswith("curve/") and piece.item.seed == seed:
                curves[(name.removeprefix("curve/"), str(piece.item.missing_rate))] = losses.tolist()
    return sheets, dict(sorted(curves.items()))


def _cell(piece: Piece) -> tuple[float, int]:
    item: Item = piece.item
    assert item.missing_rate is not None
    assert item.seed is not None
    return item.missing_rate, item.seed


def timing_table(rows: Sequence[Mapping[str, Any]], order: Order) -> pd.DataFrame:
    """What each step of these params took, one row for each machine it ran on; cut runs are added up."""
    works = order.pipeline.producers(order.pipeline.cells()).values()
    ours = {(work.label, work.stamp["params"]) for work in works}
    grouped: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        if (row["label"].removeprefix("measure "), row["params"]) not in ours:
            continue
        known = grouped.setdefault((row["machine"], row["label"]), {"seconds": 0.0, "runs": 0, "ended": False})
        total = {"seconds": round(known["seconds"] + row["seconds"], 2), "runs": known["runs"] + 1}
        grouped[(row["machine"], row["label"])] = {**known, **row, **total, "ended": known["ended"] or row["ended"]}
    return pd.DataFrame(list(grouped.values())).reindex(columns=TIMING_COLUMNS)
