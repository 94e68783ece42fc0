"""Which cell is submitted when: retries, kills in the middle of a submission, cancelling, on an engine that is none."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
from support.grid_world import CELLS, FakeEngine

from ldmiss.errors import InputError
from ldmiss_pipeline.grid import coordinator, state
from ldmiss_pipeline.grid.engines.interface import Job
from ldmiss_pipeline.grid.events import read_events
from ldmiss_pipeline.grid.state import GridRun, load_run


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GridRun:
    """A run of two cells that has not begun."""
    monkeypatch.chdir(tmp_path)
    return GridRun("r", "c" * 40, "origin", "shelf", "local", {}, 1, list(CELLS))


def test_all_cells_are_done_though_one_is_lost_and_one_fails_once(run: GridRun) -> None:
    """What ended badly is tried again; what ended well is not."""
    engine = FakeEngine(run, **{"0_5x42": ["gone", "done"], "0_8x42": ["failed", "done"]})
    assert coordinator.drive(run, engine, jobs=2, retries=1) == []
    assert sorted(engine.submitted) == ["0.5-42", "0.5-42", "0.8-42", "0.8-42"]
    assert [of.attempt for of in load_run("r").tries["0.5-42"]] == [1, 2]  # type: ignore[union-attr]


def test_a_cell_that_always_fails_does_not_stop_the_others(run: GridRun) -> None:
    """Its tries are used up; `run` again gives it as many, and leaves the others alone."""
    engine = FakeEngine(run, **{"0_5x42": ["failed"] * 9, "0_8x42": ["done"]})
    assert coordinator.drive(run, engine, jobs=1, retries=2) == ["0.5-42"]
    assert engine.submitted.count("0.5-42") == 3
    assert coordinator.drive(run, engine, jobs=1, retries=0) == ["0.5-42"]
    assert engine.submitted.count("0.5-42") == 4
    assert engine.submitted.count("0.8-42") == 1


def test_a_coordinator_that_starts_again_takes_over_what_runs(run: GridRun) -> None:
    """It submits only what was not, and waits for all."""
    engine = FakeEngine(run, **{"0_5x42": ["done"], "0_8x42": ["done"]})
    coordinator.submit(run, "0.5-42", engine)
    again = load_run("r")
    assert again is not None
    assert coordinator.drive(again, engine, jobs=2, retries=0) == []
    assert engine.submitted == CELLS


class KilledError(Exception):
    """Stands for SIGKILL."""


def killed_at(run: GridRun, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> GridRun:
    """What the next coordinator reads, after one that submits the first cell is killed where it calls this."""

    def kill(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, kill)
        with pytest.raises(KilledError):
            coordinator.drive(run, engine, jobs=1, retries=0)
    again = load_run("r")
    assert again is not None
    return again


def test_a_coordinator_that_is_killed_after_a_submission_has_it_taken_over(
    run: GridRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine finds the job by the name that was noted before; `jobs`, which `cancel` uses, has it, too."""
    engine = FakeEngine(run, **{"0_5x42": ["done"], "0_8x42": ["done"]})
    again = killed_at(run, engine, monkeypatch, GridRun, "end_attempt")
    assert list(again.jobs().values()) == engine.names
    assert coordinator.drive(again, engine, jobs=2, retries=0) == []
    assert engine.submitted == CELLS
    assert {cell: [of.attempt for of in tries] for cell, tries in again.tries.items()} == {cell: [1] for cell in CELLS}


def test_a_worker_that_has_ended_before_it_is_looked_for_is_not_started_again(
    run: GridRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it said counts, though the engine no longer has it; an end that was not good is its own try."""
    engine = FakeEngine(run, **{"0_5x42": ["failed", "done"], "0_8x42": ["done"]})
    again = killed_at(run, engine, monkeypatch, GridRun, "end_attempt")
    engine.active(engine.names)
    assert again.state("0.5-42", set()) == "failed"
    assert coordinator.drive(again, engine, jobs=2, retries=0) == []
    assert [of.attempt for of in again.tries["0.5-42"]] == [1, 2]


def test_retries_count_from_now_for_a_job_that_is_taken_over(run: GridRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own try is one of before, as it would be had it been noted."""
    engine = FakeEngine(run, **{"0_5x42": ["failed", "failed"], "0_8x42": ["done"]})
    again = killed_at(run, engine, monkeypatch, GridRun, "end_attempt")
    assert coordinator.drive(again, engine, jobs=2, retries=0) == ["0.5-42"]
    assert [of.attempt for of in again.tries["0.5-42"]] == [1, 2]
    assert all(of.submitted for of in again.tries["0.5-42"])


def test_cancel_in_the_middle_of_submitting(run: GridRun) -> None:
    """What `cancel` could not see is cancelled, and nothing more is submitted."""
    cancelled = []

    class Cancelled(FakeEngine):
        def submit(self, job: Job) -> None:
            super().submit(job)
            run.cancelled.touch()

        def cancel(self, names: Collection[str]) -> None:
            cancelled.extend(names)

    engine = Cancelled(run, **{"0_5x42": ["preempted"], "0_8x42": ["done"]})
    assert coordinator.drive(run, engine, jobs=2, retries=1) == CELLS
    assert engine.submitted == CELLS[:1]
    assert cancelled == engine.names


@pytest.mark.parametrize("detach", [False, True])
def test_a_try_that_was_never_submitted_is_dropped(run: GridRun, monkeypatch: pytest.MonkeyPatch, detach: bool) -> None:
    """The cell waits as before, and takes the same attempt, but another job."""
    engine = FakeEngine(run, **{"0_5x42": ["done"], "0_8x42": ["done"]})
    again = killed_at(run, engine, monkeypatch, engine, "submit")
    (never,) = again.tries["0.5-42"]
    assert again.state("0.5-42", set()) == "waiting"
    coordinator.drive(again, engine, jobs=2, retries=0, detach=detach)
    assert sorted(engine.submitted) == CELLS
    assert [of.attempt for of in again.tries["0.5-42"]] == [1]
    assert never.job not in engine.names


def test_a_job_that_comes_late_is_not_submitted_again(run: GridRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """sbatch may live longer than the coordinator that started it: the job is there at the second look."""
    engine = FakeEngine(run, **{"0_5x42": ["done"], "0_8x42": ["done"]})
    again = killed_at(run, engine, monkeypatch, GridRun, "end_attempt")
    late, looks = engine.left.pop(engine.names[0]), 0
    look = FakeEngine.active

    def active(self: FakeEngine, names: Collection[str]) -> set[str]:
        nonlocal looks
        looks += 1
        if looks == 2:
            self.left[self.names[0]] = late
        return look(self, names)

    monkeypatch.setattr(FakeEngine, "active", active)
    assert coordinator.drive(again, engine, jobs=1, retries=0) == []
    assert engine.submitted == CELLS


def test_no_more_jobs_than_asked_for(run: GridRun) -> None:
    """At the same time."""
    most = 0

    class Counting(FakeEngine):
        def submit(self, job: Job) -> None:
            nonlocal most
            super().submit(job)
            most = max(most, len(self.left))

    engine = Counting(run, **{"0_5x42": ["done"], "0_8x42": ["done"]})
    assert coordinator.drive(run, engine, jobs=1, retries=0) == []
    assert most == 1


def test_what_workers_only_print_is_sorted_into_log_and_events(run: GridRun) -> None:
    """Each event once, however often it is brought; a node that does not answer takes nothing away."""
    run.begin_attempt("0.5-42")
    line = json.dumps({"cell": "0.5-42", "attempt": 1, "stage": "mask@0.5-42", "status": "running"})
    for output in ("", f"hello\nevent: {line}\n", f"hello\nevent: {line}\nmore\n", ""):
        coordinator._bring_output(run, "0.5-42", output)
    assert len(read_events(run.events("0.5-42"))) == 1
    assert run.log("0.5-42", 1).read_text().endswith("more\n")


def test_two_coordinators_of_one_grid(run: GridRun) -> None:
    """The second is refused."""
    refused = pytest.raises(InputError, match=r"another .* drives this grid")
    with state.only_coordinator(run), refused, state.only_coordinator(run):
        pass
