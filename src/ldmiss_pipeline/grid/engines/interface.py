"""What the coordinator asks of an engine, and what it gives it to run."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Job:
    """A worker to start.

    Attributes:
        name: of letters, digits, `-` and `_`; no other job has it, and the engine finds the job by it.
        command: of the worker.
        folder: where it starts; it is carried to machines that do not see it.
    """

    name: str
    command: list[str]
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Variables of the worker, beside the engine's: its code is that of the folder, whatever is installed."""
        return {"PYTHONPATH": str(self.folder / "src")}


@dataclass(frozen=True)
class Resources:
    """What a cell gets, and where.

    Attributes:
        gpus: of a cell; less than one where several cells share a GPU.
        minutes: until the engine ends a job; None: no limit, or the engine's own.
        partition: of Slurm.
        address: of Ray's dashboard.
    """

    gpus: float = 0.0
    minutes: int | None = None
    partition: str | None = None
    address: str | None = None


class Engine(Protocol):
    """Something that runs jobs.

    Attributes:
        sees_folder: whether workers see the folder of the run; else they print their events.
        poll_seconds: between two looks at the jobs.
        python: that runs workers.
    """

    sees_folder: bool
    poll_seconds: float
    python: str

    def check(self) -> None:
        """Raise InputError where it is not installed, cannot be reached, or cannot give the resources."""

    def submit(self, job: Job) -> None:
        """Start a job, or queue it."""

    def active(self, names: Collection[str]) -> set[str]:
        """Those of the jobs that are queued or run; all of them while the engine does not answer."""

    def cancel(self, names: Collection[str]) -> None:
        """Ask jobs to leave (SIGTERM), and end those that do not."""

    def output(self, job: str) -> str:
        """What a job has printed; of one whose worker never began, why. Empty where that is not to be had."""
