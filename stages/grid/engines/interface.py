"""What the coordinator asks of an engine, and what it gives it to run."""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Job:
    """A worker to start.

    Attributes:
        cell: its name.
        command: of the worker, without what the engine adds.
        environment: what its environment has beside the engine's.
    """

    cell: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)


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
    """Something that runs jobs."""

    def check(self) -> None:
        """Raise InputError where it is not installed, cannot be reached, or cannot give the resources."""

    def submit(self, job: Job) -> str:
        """Start a job, or queue it; its id."""

    def active(self, ids: Collection[str]) -> set[str]:
        """Those of the jobs that are queued or run; all of them while the engine does not answer."""

    def cancel(self, ids: Collection[str]) -> None:
        """Ask jobs to leave (SIGTERM), and end those that do not."""

    def output(self, job: str) -> Path | None:
        """Where to look for why a job ended before its worker began."""
