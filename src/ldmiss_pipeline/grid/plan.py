"""What a grid would take: the stages that are left and, where earlier grids recorded them, their minutes.

A stage is left unless a worker of this run has done it, or dvc.lock here has it with the same code and params and its
outs lie here. What else the remote may have is not looked up: it would only be less.
"""

from collections.abc import Sequence
from typing import Any

from ldmiss_pipeline.grid.cells import Cells
from ldmiss_pipeline.grid.events import WORKER, read_events
from ldmiss_pipeline.grid.state import GRIDS, GridRun
from ldmiss_pipeline.grid.up_to_date import UpToDate
from ldmiss_pipeline.running.lockfile import load_lock
from ldmiss_pipeline.running.pipeline import Pipeline, StageItem

Kind = tuple[str, str | None, str]
"""What stages that take the same time have in common: name, method, hash of the params."""


class Plan:
    """The stages that are left, by cell.

    Args:
        document: params of the grid.
        cells: names of those that are wanted.
        run: that has begun with these params; None where there is none.
    """

    def __init__(self, document: dict[str, Any], cells: Sequence[str], run: GridRun | None) -> None:
        pipeline, current, of_cells = Pipeline(document), UpToDate(load_lock()), Cells(document)
        items = {item.label: item for item in pipeline.producers(pipeline.cells()).values()}
        here = {label for label, item in items.items() if current.check(item)}
        labels = {cell: of_cells.labels(cell) for cell in cells}
        self.num_stages = {cell: len(of_cell) for cell, of_cell in labels.items()}
        self.left = {
            cell: [items[label] for label in of_cell if label not in here | _done(run, cell)]
            for cell, of_cell in labels.items()
        }

    def text(self, *, jobs: int, gpus: bool) -> str:
        """A line for each cell, and the time in all, for people.

        Args:
            jobs: workers at a time.
            gpus: whether they have any.
        """
        recorded = recorded_seconds(gpus=gpus)
        lines, of_cells, unknown = [], [], set[str]()
        for cell, left in self.left.items():
            known = [recorded[_kind(item)] for item in left if _kind(item) in recorded]
            unknown |= {item.stage for item in left if _kind(item) not in recorded}
            of_cells.append(sum(known))
            untimed = f" and {len(left) - len(known)} stages of unknown length" if len(known) < len(left) else ""
            lines.append(f"{cell}: {len(left)} of {self.num_stages[cell]} stages left, {_time(sum(known))}{untimed}")
        devices = "GPUs" if gpus else "CPUs"
        if any(of_cells):
            lines.append(
                f"in all {_time(sum(of_cells))}; with {jobs} at a time about {_time(makespan(of_cells, jobs))}"
            )
            lines.append(
                f"time: what workers took for the same stage with the same params, on {devices} when last seen"
            )
        if unknown:
            lines.append(f"no grid here has recorded on {devices} with these params: {', '.join(sorted(unknown))}")
        return "\n".join(lines)


def recorded_seconds(*, gpus: bool) -> dict[Kind, float]:
    """Seconds that stages took when a grid of this project last ran them on such devices, or on none, by kind."""
    events = [event for path in GRIDS.glob("*/events/*.jsonl") for event in read_events(path)]
    executed = [event for event in events if event.get("how") == "executed"]
    return {
        (event["stage"].partition("@")[0], event["method"], event["params"]): event["seconds"]
        for event in sorted(executed, key=lambda event: str(event["time"]))
        if event["device"] is None or (event["device"] != "cpu") == gpus
    }


def makespan(seconds: Sequence[float], jobs: int) -> float:
    """Until the last of the cells ends, when each goes to the worker that is free first."""
    ends = [0.0] * max(1, jobs)
    for of_cell in seconds:
        ends[ends.index(min(ends))] += of_cell
    return max(ends)


def _kind(item: StageItem) -> Kind:
    return item.stage, item.item.method, item.stamp["params"]


def _time(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 7200 else f"{seconds / 60:.1f} min"


def _done(run: GridRun | None, cell: str) -> set[str]:
    if run is None:
        return set()
    last = {event["stage"]: event["status"] for event in read_events(run.events(cell))}
    return {stage for stage, status in last.items() if status == "done" and stage != WORKER}
