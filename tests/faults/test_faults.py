"""A sample of the fault harness (all of it: `make test-faults`), and that it finds what is broken."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
import torch
from torch import Tensor

from faults.catalogue import STAGE_FAULTS
from faults.events import Stop
from faults.kills import INFERENCE, VAE, Work, try_stops
from faults.outcome import Outcome, Row, markdown
from faults.world import World
from ldmiss.training.loop import Training
from ldmiss_pipeline.running.checkpoint import FileCheckpoint

SAMPLED = ["kill-train_vae", "kill-e-step", "kill-checkpoint", "kill-outs", "sigterm", "checkpoint-truncated"]


@pytest.mark.parametrize("name", SAMPLED)
def test_a_fault_costs_nothing(name: str, tmp_path: Path, project: Path) -> None:
    """After one try of it, with the places drawn anew for each of the names, the outs are the clean run's."""
    (fault,) = (fault for fault in STAGE_FAULTS if fault.name == name)
    row = Row(fault.words, list(fault.run(World(tmp_path, project), 1, Random(name))))
    assert [outcome.problem for outcome in row.tried] == [None]
    assert row.kills > 0 or name == "sigterm"


def restored_without(*dropped: str) -> Callable[[], None]:
    """Sabotage: what the checkpoint holds under these names is lost."""

    def sabotage() -> None:
        restore = Training.restore

        def forgetful(self: Training, tensors: dict[str, Tensor]) -> None:
            restore(self, {name: torch.zeros_like(value) if name.partition(".")[0] in dropped else value
                           for name, value in tensors.items()})  # fmt: skip

        Training.restore = forgetful  # type: ignore[method-assign]

    return sabotage


def step_off_by_one() -> None:
    """Sabotage: goes on one step too late."""
    restore = Training.restore

    def hasty(self: Training, tensors: dict[str, Tensor]) -> None:
        restore(self, {**tensors, "step": tensors["step"] + 1})

    Training.restore = hasty  # type: ignore[method-assign]


def nothing_saved() -> None:
    """Sabotage: no checkpoint is ever written."""
    FileCheckpoint.save = lambda self, slot, tensors: None  # type: ignore[method-assign]


def rows_of_a_chunk_swapped() -> None:
    """Sabotage: finished chunks come back in another order."""
    load = FileCheckpoint.load

    def swapped(self: FileCheckpoint, slot: str) -> dict[str, Tensor] | None:
        stored = load(self, slot)
        return stored and {name: value.flip(0) for name, value in stored.items()}

    FileCheckpoint.load = swapped  # type: ignore[method-assign]


def leaves_a_file() -> None:
    """Sabotage: the checkpoint stays after success."""
    FileCheckpoint.remove = lambda self: None  # type: ignore[method-assign]


SABOTAGES: dict[str, tuple[Callable[[], None], Work, str, str]] = {
    "optimiser not restored": (restored_without("optimizer"), VAE, "step", "other than in the clean run: models"),
    "losses not restored": (restored_without("losses"), VAE, "step", "other than in the clean run: metrics/curves"),
    "step off by one": (step_off_by_one, VAE, "step", "other than in the clean run"),
    "nothing saved": (nothing_saved, VAE, "step", "5 units of work redone, 1 allowed"),
    "rows swapped": (rows_of_a_chunk_swapped, INFERENCE[0], "chunk", "other than in the clean run: data/samples"),
    "checkpoint left": (leaves_a_file, VAE, "step", "left behind: train_vae@0.5-42"),
}


@pytest.mark.parametrize("name", SABOTAGES)
def test_the_harness_finds_what_is_broken(name: str, tmp_path: Path, project: Path) -> None:
    """With the restart broken, a kill that the code as it is survives is reported as lost, and why."""
    sabotage, work, event, problem = SABOTAGES[name]
    outcome = try_stops(World(tmp_path, project, sabotage), work, [Stop(event, 3 if event == "chunk" else 5)], 1)
    assert outcome.problem is not None
    assert problem in outcome.problem


def test_the_table_counts_what_was_lost() -> None:
    """By row and in sum; a fault that could not be tried counts as neither survived nor lost."""
    rows = [
        Row("one", [Outcome(kills=2, redone=1, allowed=3), Outcome("other bytes", kills=1, redone=2, allowed=1)]),
        Row("two", [Outcome()]),
        Row("three", [Outcome(not_tried="needs root")]),
    ]
    assert markdown(rows).splitlines()[2:] == [
        "| one | 2 | 3 | 1 | 1 | 2 of 3 |",
        "| two | 1 | 0 | 1 | 0 |  |",
        "| three | not tried: needs root |  |  |  |  |",
        "| all | 3 | 3 | 2 | 1 |  |",
    ]
