"""What many cells cost beside their stages: `python -m benchmarks.grid_scaling [--cells 1 18 100]`.

In toy projects with our dvc.yaml whose commands cost nothing (`benchmarks.rows_dvc`): DVC where one dvc.lock has all
cells against one that has one cell, as each worker's clone; `grid collect`; the coordinator's own work. Writes
`benchmarks/results/<device>/grid_scaling.json` and the tables of docs/scaling.md, the expected hours among them.
"""

import argparse
import json
import os
import resource
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from dvc.utils.serialize import load_yaml
from stages.slices.order import Step

from benchmarks import grid_hours, report
from benchmarks.page import write_table
from benchmarks.rows_dvc import FIRST, dvc, num_items, toy_project
from benchmarks.setting import paper_setting
from benchmarks.usage import usage
from ldmiss.files.atomic import save_text
from ldmiss_pipeline.artifacts.json_files import save_json
from ldmiss_pipeline.config import params as params_module
from ldmiss_pipeline.config.compose import composed
from ldmiss_pipeline.grid.cells import Cells
from ldmiss_pipeline.grid.lockfile import merge
from ldmiss_pipeline.grid.plan import makespan
from ldmiss_pipeline.grid.state import Run
from ldmiss_pipeline.grid.status import table
from ldmiss_pipeline.running.estimate import Estimates
from ldmiss_pipeline.running.pipeline import Pipeline

PAGE = report.RESULTS.parents[1] / "docs/scaling.md"
COMMAND = "python -m benchmarks.grid_scaling"
GRIDS = {1: (1, 1), 18: (6, 3), 100: (10, 10)}
COORDINATED = (18, 100, 1000)
"""Cells of the coordinator's own work, which is quick."""
FORCED = ["--single-item", f"mask@{FIRST}"]
GPUS = (1, 4, 18)


def main() -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.grid_scaling", description=__doc__.split("\n")[0])
    parser.add_argument("--cells", type=int, nargs="+", choices=list(GRIDS), default=list(GRIDS))
    args = parser.parse_args()
    setting = paper_setting(params_module.load()[0].compute)
    record = {
        "machine": report.machine(setting), "dvc": [of_dvc(cells) for cells in sorted(args.cells)],
        "coordinator": [of_coordinator(cells) for cells in COORDINATED],
    }  # fmt: skip
    save_json(report.folder(setting) / "grid_scaling.json", record)
    write(record)
    return 0


def of_dvc(cells: int) -> dict[str, Any]:
    """Seconds and megabytes of DVC's commands in a project of so many cells, and of what `collect` does there."""
    folder = toy_project(*GRIDS[cells])
    items = num_items(folder)
    nothing, megabytes = _timed(folder, "repro")
    status, _ = _timed(folder, "status")
    unforced, _ = _timed(folder, "repro", *FORCED)
    forced, _ = _timed(folder, "repro", "-f", *FORCED)
    found = {
        "cells": cells, "items": items, "nothing": nothing, "megabytes": megabytes, "status": status,
        "per_item": forced - unforced, "lock_megabytes": (folder / "dvc.lock").stat().st_size / 1e6,
    }  # fmt: skip
    found |= _collected(folder)
    print(json.dumps(found), flush=True)
    return found


def _collected(folder: Path) -> dict[str, float]:
    """Of a copy with nothing in it, from a remote and the locks of the cells: merge, pull, check."""
    lock = load_yaml(str(folder / "dvc.lock"))["stages"]
    dvc(folder, "remote", "add", "--default", "--quiet", "shelf", str(folder / "shelf"))
    dvc(folder, "push", "--quiet")
    for name in ("data", "models", "metrics", ".dvc/cache"):
        shutil.rmtree(folder / name)
    (folder / "dvc.lock").unlink()
    save_json(folder / "locks.json", lock)
    before = Path.cwd()
    os.chdir(folder)
    try:
        start = time.process_time()
        merge([Path("locks.json")])
        merged = time.process_time() - start
    finally:
        os.chdir(before)
    pulled = _timed(folder, "fetch")[0] + _timed(folder, "checkout", "--allow-missing")[0]
    checked, _ = _timed(folder, "repro")
    return {"merge": merged, "pull": pulled, "check": checked}


def _timed(folder: Path, *arguments: str) -> tuple[float, float]:
    """Seconds of processor time, which DVC waits for little else than, and peak megabytes."""
    before = _processor_seconds()
    megabytes = usage([sys.executable, "-m", "dvc", *arguments, "--quiet"], folder)[1]
    return _processor_seconds() - before, megabytes


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def of_coordinator(cells: int) -> dict[str, Any]:
    """Seconds of one round: how all cells are, and the table; cells that are half done, with their events."""
    import tempfile

    rates = [round(index / cells, 4) for index in range(cells)]
    document = yaml.safe_load(composed([f"grid.missing_rates={rates}", "grid.seeds=[42]"]))
    of_cells = Cells(document)
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(before / "dvc.yaml", folder)
        os.chdir(folder)
        try:
            run = Run("scaling", "0" * 40, "", "", "local", {}, 1, of_cells.names)
            save_text(run.carried / "params.yaml", yaml.safe_dump(document))
            for cell in of_cells.names:
                _write_events(run, cell, of_cells.labels(cell))
                run.begin_try(cell)
            jobs = set(run.jobs().values())
            start = time.process_time()
            states = {cell: run.state(cell, jobs) for cell in run.cells}
            polled = time.process_time() - start
            table(run, states)
            drawn = time.process_time() - start - polled
        finally:
            os.chdir(before)
    found = {"cells": cells, "poll": polled, "table": drawn}
    print(json.dumps(found), flush=True)
    return found


def _write_events(run: Run, cell: str, labels: Sequence[str]) -> None:
    lines = [
        json.dumps({"cell": cell, "attempt": 1, "host": "h", "stage": label, "status": status, "time": "2026-01-01"})
        for label in labels[: len(labels) // 2] for status in ("running", "done")
    ]  # fmt: skip
    save_text(run.events(cell), "".join(f"{line}\n" for line in lines))


def expected_hours() -> list[dict[str, Any]]:
    """Of the paper's grids: for each protocol the hours of a cell, and those of the grid on so many GPUs."""
    rows = []
    for name, overrides in grid_hours.GRIDS.items():
        document = yaml.safe_load(composed(overrides))
        params, pipeline, of_cells = params_module.validate(document, name), Pipeline(document), Cells(document)
        estimates = Estimates(params, [], device="", kind="cuda", machine="")
        works = {work.label: work for work in pipeline.producers(pipeline.cells()).values()}

        def seconds(label: str, works: Any = works, estimates: Estimates = estimates) -> float:
            return estimates.seconds(Step(works[label]))

        hours = [sum(map(seconds, of_cells.labels(cell))) / 3600 for cell in of_cells.names]
        shared = sum(map(seconds, of_cells.shared())) / 3600
        rows.append({"grid": name, "cell": max(hours), **{str(gpus): shared + makespan(hours, gpus) for gpus in GPUS}})
    return rows


def write(record: Mapping[str, Any]) -> None:
    """The tables of the page."""
    machine = record["machine"]
    where = f"{machine['cpu']}, DVC {machine['dvc']}; seconds of processor time, and peak memory. Made by `{COMMAND}`."
    where += " With ~: in proportion to the largest that was measured, the walk through all items by half their square."
    write_table(PAGE, "grid-scaling", COMMAND, f"{_dvc_table(record)}\n\n{where}")
    write_table(PAGE, "grid-hours", COMMAND, _hours_table(expected_hours()))


def _dvc_table(record: Mapping[str, Any]) -> str:
    rows = list(record["dvc"])
    last = rows[-1]
    cost_by_cell = {row["cells"]: row["poll"] + row["table"] for row in record["coordinator"]}
    lines = [
        "| cells | items | dvc.lock | `dvc repro`, nothing to do | `dvc status` | DVC for the last item that runs "
        "| `dvc repro` over all items, from the run cache | `collect`: merge, pull, check | coordinator, a round |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        walk = row["nothing"] + row["items"] * row["per_item"] / 2
        lines.append(_line(row, walk, cost_by_cell.get(row["cells"]), ""))
    for cells in COORDINATED:
        if cells > last["cells"]:
            factor = cells / last["cells"]
            row = {name: value * factor for name, value in last.items()}
            walk = row["nothing"] + row["items"] * row["per_item"] / 2
            lines.append(_line(row | {"cells": cells}, walk, cost_by_cell.get(cells), "~"))
    return "\n".join(lines)


def _line(row: Mapping[str, float], walk: float, coordinator: float | None, mark: str) -> str:
    collected = row["merge"] + row["pull"] + row["check"]
    parts = f"{_time(row['merge'])} + {_time(row['pull'])} + {_time(row['check'])}"
    cells = [
        f"{row['cells']:.0f}", f"{mark}{row['items']:,.0f}", f"{mark}{row['lock_megabytes']:.1f} MB",
        f"{mark}{_time(row['nothing'])}, {row['megabytes']:,.0f} MB", f"{mark}{_time(row['status'])}",
        f"{mark}{_time(row['per_item'])}", f"~{_time(walk)}", f"{mark}{_time(collected)} ({parts})",
        _time(coordinator) if coordinator is not None else "",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _hours_table(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        f"| the paper's grid | a cell | {' | '.join(f'{gpus} GPUs' if gpus > 1 else '1 GPU' for gpus in GPUS)} |",
        f"|---|---|{'---|' * len(GPUS)}",
    ]
    for row in rows:
        hours = " | ".join(f"{row[str(gpus)]:,.1f} h" for gpus in GPUS)
        lines.append(f"| {row['grid']} protocol | {row['cell']:.1f} h | {hours} |")
    return "\n".join(lines)


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


if __name__ == "__main__":
    sys.exit(main())
