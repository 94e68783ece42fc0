"""What a grid run has written down: `runs/grid/<RUN>/`, where RUN is a hash of the commit and the params.

run.json     engine, commit, origin, remote's name, cells, and the job of each try, noted before it is submitted
carried/     what a worker starts with: the code of the commit, whatever happens to the working copy meanwhile,
             params.yaml, and `remote`, the remote's settings, mode 0600, until the results are collected
events/      a file of JSON lines for each cell        logs/  what each worker printed
ckpt/        checkpoints of stages under way, by cell  jobs/  what the engine writes
locks/       what DVC recorded of each cell that is done
"""

import hashlib
import json
import os
import subprocess
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ldmiss.errors import InputError
from ldmiss.files.atomic import save_text
from ldmiss_pipeline.artifacts.json_files import load_json, save_json
from ldmiss_pipeline.artifacts.paths import RUNS
from ldmiss_pipeline.grid.events import WORKER, read_events

GRIDS = RUNS / "grid"
FINISHED = ("done", "failed", "preempted", "lost")


@dataclass
class Attempt:
    """One submission of a cell.

    Attributes:
        attempt: from 1.
        job: its name, by which the engine knows it.
        submitted: when; None: the coordinator ended before it knew, so the engine may have the job or not.
    """

    attempt: int
    job: str
    submitted: str | None = None


@dataclass
class GridRun:
    """A grid run.

    Attributes:
        name: RUN.
        commit: full hash.
        origin: URL or path that workers clone.
        remote: name.
        engine: name.
        resources: of each cell.
        stage_jobs: stages of a cell at a time.
        cells: names of those that are to be done.
        tries: by cell, oldest first.
    """

    name: str
    commit: str
    origin: str
    remote: str
    engine: str
    resources: dict[str, Any]
    stage_jobs: int
    cells: list[str]
    tries: dict[str, list[Attempt]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The run's folder, absolute."""
        return (GRIDS / self.name).absolute()

    @property
    def carried(self) -> Path:
        """What a worker starts with."""
        return self.folder / "carried"

    @property
    def cancelled(self) -> Path:
        """A file that is there from `cancel` until `run` is said again: nothing is submitted meanwhile."""
        return self.folder / "cancelled"

    def events(self, cell: str) -> Path:
        """The file of a cell's events."""
        return self.folder / "events" / f"{cell}.jsonl"

    def lock(self, cell: str) -> Path:
        """What DVC recorded of a cell that is done: label -> its entry of dvc.lock."""
        return self.folder / "locks" / f"{cell}.json"

    def log(self, cell: str, attempt: int) -> Path:
        """What a worker printed."""
        return self.folder / "logs" / f"{cell}.{attempt}.log"

    def begin_attempt(self, cell: str) -> None:
        """Note that a cell is about to be submitted, in place of a try that never was."""
        tries = self.submitted(cell)
        # Random, because the folder of a run may be removed and made again, and a cluster have clones of one project.
        name = f"ldmiss-{self.name}-{cell}-{len(tries) + 1}-{os.urandom(3).hex()}".replace(".", "_")
        self.tries[cell] = [*tries, Attempt(len(tries) + 1, name)]
        self.save()

    def end_attempt(self, cell: str) -> None:
        """Note that it was submitted."""
        self.tries[cell][-1].submitted = datetime.now(UTC).isoformat(timespec="seconds")
        self.save()

    def submitted(self, cell: str) -> list[Attempt]:
        """The tries of a cell that are known to have been submitted, by the coordinator or by what the worker said."""
        tries = self.tries.get(cell, [])
        unsure = bool(tries) and tries[-1].submitted is None and not self._said(cell, tries[-1])
        return tries[:-1] if unsure else tries

    def _said(self, cell: str, of: Attempt) -> list[dict[str, Any]]:
        return [event for event in read_events(self.events(cell)) if event["attempt"] == of.attempt]

    def save(self) -> None:
        """Write run.json."""
        save_json(self.folder / "run.json", asdict(self))

    def jobs(self, cells: Collection[str] | None = None) -> dict[str, str]:
        """Cell -> the job of its last try, of those cells that have not said their end."""
        return {cell: tries[-1].job for cell, tries in self.tries.items()
                if (cells is None or cell in cells) and self.state(cell, None) not in FINISHED}  # fmt: skip

    def state(self, cell: str, active: Collection[str] | None) -> str:
        """How a cell is.

        Args:
            active: jobs that the engine still has; None: take all for active.

        Returns:
            "waiting" (not submitted, or nobody knows and the engine has no such job), "queued", "running", "done",
            "failed", "preempted", or "lost" (the job is gone and has not said why).
        """
        tries, events = self.tries.get(cell, []), read_events(self.events(cell))
        if any(event["stage"] == WORKER and event["status"] == "done" for event in events):
            return "done"
        if not tries:
            return "waiting"
        ours = [event for event in events if event["attempt"] == tries[-1].attempt]
        if ours and ours[-1]["stage"] == WORKER:
            return str(ours[-1]["status"])
        if active is not None and tries[-1].job not in active:
            return "lost" if ours or tries[-1].submitted else "waiting"
        return "running" if ours else "queued"


def run_name(commit: str, document: Any) -> str:
    """RUN: a hash of commit and params document."""
    text = json.dumps([commit, document], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def load_run(name: str) -> GridRun | None:
    """A run that has begun; None where there is none of that name."""
    path = GRIDS / name / "run.json"
    if not path.is_file():
        return None
    fields = load_json(path)
    fields["tries"] = {cell: [Attempt(**of) for of in tries] for cell, tries in fields["tries"].items()}
    return GridRun(**fields)


def all_runs() -> list[GridRun]:
    """Every run of this project that is still there, the latest begun last."""
    paths = sorted(GRIDS.glob("*/run.json"), key=lambda path: (path.parent / "carried/params.yaml").stat().st_mtime)
    return [run for path in paths if (run := load_run(path.parent.name)) is not None]


def prepare(run: GridRun, params: str) -> None:
    """Make the folder of a run: params, and the code of the commit."""
    if not run.carried.is_dir():
        temporary = run.folder / "carried.tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        archive = ["git", "archive", run.commit, "--", "src"]
        packed = subprocess.run(archive, check=True, capture_output=True).stdout  # noqa: S603 - our own commands
        subprocess.run(["tar", "-x", "-C", str(temporary)], input=packed, check=True)  # noqa: S603, S607
        save_text(temporary / "params.yaml", params)
        temporary.rename(run.carried)


@contextmanager
def only_coordinator(run: GridRun) -> Iterator[None]:
    """Hold the run's lock, which the system releases however the process ends.

    Raises:
        InputError: another process holds it.
    """
    run.folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(run.folder / "lock", timeout=0):
            yield
    except Timeout:
        raise InputError(
            f"{run.folder}: another `python -m ldmiss_pipeline grid run` drives this grid; "
            "see `python -m ldmiss_pipeline grid status`"
        ) from None
