"""What a grid would take: stages that are left, hours, disk; before anything is submitted.

A stage is left unless a worker of this run has done it, or dvc.lock here has it with the same code and params and its
outs lie here. What else the remote may have is not looked up: it would only be less.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ldmiss_pipeline.config.schema import Params
from ldmiss_pipeline.grid.cells import Cells
from ldmiss_pipeline.grid.events import WORKER, read_events
from ldmiss_pipeline.grid.remote import local_folder
from ldmiss_pipeline.grid.state import GRIDS, Run
from ldmiss_pipeline.running.lockfile import load_lock
from ldmiss_pipeline.running.pipeline import Pipeline
from ldmiss_pipeline.running.preflight import UpToDate, expected_memory, megabytes, refuse_full
from ldmiss_pipeline.running.sizes import Sizes


class Plan:
    """The works that are left, by cell.

    Args:
        params, document: of the grid.
        cells: names of those that are wanted.
        run: that has begun with these params; None where there is none.
    """

    def __init__(self, params: Params, document: dict[str, Any], cells: Sequence[str], run: Run | None) -> None:
        self._params, self._sizes = params, Sizes(params)
        producers = Pipeline(document).producers(Pipeline(document).cells())
        works = {work.label: work for work in producers.values()}
        current = UpToDate(load_lock())
        here = {label for label, work in works.items() if current.check(work)}
        of_cells = Cells(document)
        self.shared = [works[label] for label in of_cells.shared()]
        self.all = {cell: [works[label] for label in of_cells.labels(cell)] for cell in cells}
        self.left = {
            cell: [work for work in of_cell if work.label not in here | _done(run, cell)]
            for cell, of_cell in self.all.items()
        }

    def worker_bytes(self, cell: str) -> int:
        """The most that lies in a clone: results of the cell and shared ones, twice (DVC's cache), and a checkpoint."""
        needs = [need for work in [*self.shared, *self.all[cell]] if (need := self._sizes.need(work.stage, work.item))]
        return 2 * sum(need.outs for need in needs) + max((need.checkpoint + need.largest for need in needs), default=0)

    def result_bytes(self) -> int:
        """That the cells left add to the remote, and to this copy twice."""
        works = [work for of_cell in self.left.values() for work in of_cell]
        return sum(need.outs for work in works if (need := self._sizes.need(work.stage, work.item)))

    def refuse_full(self, *, local_jobs: int, settings: Mapping[str, Any]) -> list[str]:
        """A line for each disk of this host that is written to.

        Args:
            local_jobs: workers on this host at a time; 0 where they are elsewhere.
            settings: of the remote.

        Raises:
            InputError: a disk has not the room.
        """
        folders = {Path(): 2 * self.result_bytes()}
        if self.left and local_jobs:
            most = max(self.worker_bytes(cell) for cell in self.left)
            folders[Path(tempfile.gettempdir())] = min(local_jobs, len(self.left)) * most
        if (remote := local_folder(settings)) is not None:
            folders[remote] = self.result_bytes()
        return refuse_full(folders)

    def text(self, *, jobs: int, gpus: bool) -> str:
        """For people: a line for each cell, the hours in all, and what a worker needs.

        Args:
            jobs: workers at a time.
            gpus: whether they have any.
        """
        from ldmiss_pipeline.running.estimate import MARGIN

        hours = self._hours(gpus)
        of_cells = [sum(hours[work.label] for work in left) for left in self.left.values()]
        lines = [
            f"{cell}: {len(left)} of {len(self.all[cell])} stages left, {_time(hours_left)}"
            for (cell, left), hours_left in zip(self.left.items(), of_cells, strict=True)
        ]
        longest = max(
            (work for left in self.left.values() for work in left), key=lambda of: hours[of.label], default=None
        )
        lines.append(f"in all {_time(sum(of_cells))}; with {jobs} at a time about {_time(makespan(of_cells, jobs))}")
        lines += [
            f"time: what workers took for stages like it on the device used last, {MARGIN - 1:.0%} more; of others,",
            "      by counted operations: on GPUs a guess made for an H100, on CPUs wrong by a few times, either way",
        ]
        if longest is not None:
            lines.append(f"longest stage: {longest.label}, {_time(hours[longest.label])}")
            most = max(self.worker_bytes(cell) for cell in self.left)
            lines.append(f"disk of a worker, in its TMPDIR: {megabytes(most)} at most")
        return "\n".join([*lines, *expected_memory(self._params)])

    def _hours(self, gpus: bool) -> dict[str, float]:
        """By label: as recorded for stages like it on the device used last, else by counted operations."""
        from stages.slices.order import Step

        from ldmiss_pipeline.running.estimate import Estimates

        kind = "cuda" if gpus else "cpu"
        timings = recorded_timings()
        devices = [row["device"] for row in timings if row["device"] and (row["device"] == "cpu") == (kind == "cpu")]
        device = devices[-1] if devices else kind
        of_any = [row | {"device": row["device"] or device} for row in timings]
        estimates = Estimates(self._params, of_any, device=device, kind=kind, machine="")
        works = [work for left in self.left.values() for work in left]
        return {work.label: estimates.seconds(Step(work)) / 3600 for work in works}


def recorded_timings() -> list[dict[str, Any]]:
    """What executed stages of all grid runs took, oldest first, as `Estimates` reads it.

    The device is None for a stage that computes on none.
    """
    events = [event for path in GRIDS.glob("*/events/*.jsonl") for event in read_events(path)]
    rows = [event for event in events if event.get("how") == "executed"]
    return [
        {
            "device": row["device"], "machine": row["host"], "label": row["stage"], "params": row["params"],
            "stage": row["stage"].partition("@")[0], "method": row["method"], "seconds": row["seconds"], "ended": True,
        }
        for row in sorted(rows, key=lambda row: str(row["time"]))
    ]  # fmt: skip


def makespan(hours: Sequence[float], jobs: int) -> float:
    """Until the last of the cells ends, when each goes to the worker that is free first."""
    ends = [0.0] * max(1, jobs)
    for of_cell in hours:
        ends[ends.index(min(ends))] += of_cell
    return max(ends)


def _time(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 2 else f"{60 * hours:.1f} min"


def _done(run: Run | None, cell: str) -> set[str]:
    if run is None:
        return set()
    last = {event["stage"]: event["status"] for event in read_events(run.events(cell))}
    return {stage for stage, status in last.items() if status == "done" and stage != WORKER}
