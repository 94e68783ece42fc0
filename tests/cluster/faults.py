"""What goes wrong on an engine, tried on toy cells: every try ends with a collected grid that is compared."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil

from cluster.processes import kill, naming, wait_until
from cluster.projects import Home, Project

FIRST, SECOND = "0.5-42", "0.8-42"
HELD = "train_ldm"
"""The stage in the middle of a cell at which faults come."""
LOST_NODE = "n2"
"""Not the head of Ray."""
AWAY_SECONDS = 20
KILL_AFTER = (0.0, 0.4, 0.8, 1.2)
"""Seconds from when a coordinator notes what it is about to submit, which takes about one."""
_SECONDS = 400


@dataclass(frozen=True)
class Outcome:
    """One try.

    Attributes:
        again: stages that were begun again.
        lost: those of them that had ended before.
        wrong: what is other than in the plain run, or in the way that it came about; None: nothing.
        seconds: of the whole try.
    """

    again: int
    lost: int
    wrong: str | None
    seconds: float


@dataclass(frozen=True)
class Fault:
    """A row of the table.

    Attributes:
        name: for `--only`.
        words: for the table.
        run: does it, until the grid is run to its end; raises AssertionError with what is not as it should be.
        engines: on which it can be.
    """

    name: str
    words: str
    run: Callable[[Any, Home], None]
    engines: tuple[str, ...] = ("local", "slurm", "ray")


def try_fault(fault: Fault, bed: Any, project: Project) -> Outcome:
    """One try on a new home."""
    start, home, wrong = time.monotonic(), project.home(more=bed.environment), None
    try:
        fault.run(bed, home)
        wrong = home.collect() or home.difference()
    except (AssertionError, TimeoutError, psutil.Error) as error:
        wrong = f"{type(error).__name__}: {error}"
    home.release()
    if wrong:
        home.grid("cancel")
        kill(naming(home.top))
        wrong = f"{wrong} (see {home.top})"
    counted = Counter((one["label"], one["what"]) for one in home.log())
    again = sum(number - 1 for (_, what), number in counted.items() if what == "begins")
    lost = sum(number - 1 for (_, what), number in counted.items() if what == "ends")
    return Outcome(again, lost, wrong, time.monotonic() - start)


def _cancelled_job(bed: Any, home: Home) -> None:
    with _Held(bed, home) as coordinator:
        bed.cancel_job(_job(home, FIRST))
        wait_until(lambda: _left(home, FIRST), 90, "the worker says that it leaves")
    _ended_well(home, coordinator)
    assert _tries(home)[FIRST] == 2, f"{_tries(home)} tries"


def _cancelled_grid(bed: Any, home: Home) -> None:
    with _Held(bed, home) as coordinator:
        cancelled = home.grid("cancel")
        assert cancelled.returncode == 0, f"cancel: {cancelled.stdout}"
        wait_until(lambda: _left(home, FIRST) and _left(home, SECOND), 90, "both workers say that they leave")
        assert coordinator.wait(_SECONDS) != 0, "a cancelled run ended with status 0"
        assert _tries(home) == {FIRST: 1, SECOND: 1}, f"{_tries(home)} tries, though cancelled"
    _ended_well(home, _run(bed, home))


def _lost_node(bed: Any, home: Home) -> None:
    with _Held(bed, home) as coordinator:
        cell = next(event["cell"] for event in home.events() if event["node"] == LOST_NODE)
        bed.lose_node(LOST_NODE)
    try:
        _ended_well(home, coordinator)
        assert _tries(home)[cell] == 2, f"{_tries(home)} tries"
    finally:
        bed.restore_node(LOST_NODE)


def _lost_daemon(bed: Any, home: Home) -> None:
    with _Held(bed, home) as coordinator:
        cell = next(event["cell"] for event in home.events() if event["node"] == LOST_NODE)
        other = SECOND if cell == FIRST else FIRST
        bed.lose_daemon(LOST_NODE)
        (home.control / f"hold-{HELD}@{other}").unlink()
        wait_until(lambda: home.said(f"{HELD}@{cell}", "held") == 2, 150, "a second worker at the same stage")
    try:
        _ended_well(home, coordinator)
        wait_until(lambda: not _workers(home), 60, "the first worker ends, too")
    finally:
        bed.restore_node(LOST_NODE)


def _killed_worker(bed: Any, home: Home) -> None:
    home.hold(f"worker@{FIRST}")
    coordinator = _run(bed, home)
    wait_until(lambda: home.said(f"worker@{FIRST}", "held") == 1, _SECONDS, "the worker has pushed all")
    (worker,) = (one["pid"] for one in home.log() if (one["label"], one["what"]) == (f"worker@{FIRST}", "held"))
    kill([psutil.Process(worker)])
    home.release()
    _ended_well(home, coordinator)
    assert _tries(home)[FIRST] == 2, f"{_tries(home)} tries"


def _remote_away(bed: Any, home: Home) -> None:
    away = home.top / "away"
    with _Held(bed, home) as coordinator:
        home.remote.rename(away)
        home.remote.touch()  # no folder can be made there, as none can where nothing is mounted for want of rights
        home.release()
        time.sleep(AWAY_SECONDS)
        home.remote.unlink()
        away.rename(home.remote)
    _ended_well(home, coordinator)


def _remote_empty(bed: Any, home: Home) -> None:
    away, empty = home.top / "away", home.top / "empty"
    with _Held(bed, home) as coordinator:
        home.remote.rename(away)
        home.remote.mkdir()
        home.release()
        time.sleep(AWAY_SECONDS)
        home.remote.rename(empty)
        away.rename(home.remote)
    _ended_well(home, coordinator)


def _poisoned(bed: Any, home: Home) -> None:
    poison = home.control / f"poison-{HELD}@{SECOND}"
    poison.touch()
    coordinator = _run(bed, home)
    assert coordinator.wait(_SECONDS) != 0, "a run with a failed cell ended with status 0"
    assert _tries(home) == {FIRST: 1, SECOND: 2}, f"{_tries(home)} tries"
    said = home.grid("status").stdout
    assert f"{SECOND}: failed, try 2" in said, f"status says {said}"
    poison.unlink()
    _ended_well(home, _run(bed, home))
    assert _tries(home) == {FIRST: 1, SECOND: 3}, f"{_tries(home)} tries"


def _killed_coordinator(bed: Any, home: Home) -> None:
    with _Held(bed, home) as coordinator:
        kill([coordinator])
        coordinator = _run(bed, home)
        time.sleep(6)
    _ended_well(home, coordinator)
    assert _tries(home) == {FIRST: 1, SECOND: 1}, f"{_tries(home)} tries"


def _killed_submission(bed: Any, home: Home) -> None:
    for cell in (FIRST, SECOND):
        home.hold(f"{HELD}@{cell}")
    for seconds in KILL_AFTER:
        known, coordinator = _jobs(home), _run(bed, home)
        wait_until(lambda known=known: _jobs(home) != known or _both_held(home), _SECONDS, "a submission is noted")
        time.sleep(seconds)
        kill([coordinator])
    with _Held(bed, home) as coordinator:
        time.sleep(6)
    _ended_well(home, coordinator)
    assert _tries(home) == {FIRST: 1, SECOND: 1}, f"{_tries(home)} tries"
    begun = Counter(one["label"] for one in home.log() if one["what"] == "begins" and one["label"] != "download")
    assert set(begun.values()) == {1}, f"more than one worker: {begun}"


FAULTS = [
    Fault("cancel-job", "a job is ended in the middle of a cell (scancel, `ray job stop`, SIGTERM)", _cancelled_job),
    Fault("cancel-grid", "`grid cancel` in the middle, then `run` again", _cancelled_grid),
    Fault("node", "SIGKILL of a node and all that runs on it", _lost_node, ("slurm", "ray")),
    Fault("slurmd", "SIGKILL of slurmd alone: two workers at the same cell", _lost_daemon, ("slurm",)),
    Fault("worker", "SIGKILL of a worker between its last push and its exit", _killed_worker),
    Fault("remote", f"the remote is away for {AWAY_SECONDS} s", _remote_away),
    Fault("remote-empty", f"the remote is an empty folder for {AWAY_SECONDS} s (not mounted)", _remote_empty),
    Fault("poison", "a cell that always fails; mended, `run` again", _poisoned),
    Fault("coordinator", "SIGKILL of the coordinator, then `run` again: it goes on with the same jobs",
          _killed_coordinator),
    Fault("submission", f"SIGKILL of {len(KILL_AFTER)} coordinators while they submit a cell, then `run` again",
          _killed_submission),
]  # fmt: skip


class _Held:
    """Both cells are at the stage in the middle; at the end both may go on."""

    def __init__(self, bed: Any, home: Home) -> None:
        self._bed, self._home = bed, home

    def __enter__(self) -> psutil.Popen:
        for cell in (FIRST, SECOND):
            self._home.hold(f"{HELD}@{cell}")
        coordinator = _run(self._bed, self._home)
        wait_until(lambda: _both_held(self._home), _SECONDS, "both cells in the middle")
        for cell in (FIRST, SECOND):
            self._bed.refuse_other_gpus(_job(self._home, cell))
        return coordinator

    def __exit__(self, *_: object) -> None:
        self._home.release()


def _run(bed: Any, home: Home) -> psutil.Popen:
    return home.start("run", *bed.toy_arguments, "--retries", "1", "--origin", str(home.origin))


def _ended_well(home: Home, coordinator: psutil.Popen) -> None:
    try:
        status = coordinator.wait(_SECONDS)
    except psutil.TimeoutExpired:
        raise AssertionError(f"the grid has not ended in {_SECONDS} s") from None
    assert status == 0, f"run ended with status {status}: {(home.top / 'grid.log').read_text()[-500:]}"


def _both_held(home: Home) -> bool:
    return all(home.said(f"{HELD}@{cell}", "held") for cell in (FIRST, SECOND))


def _jobs(home: Home) -> set[str]:
    """All that were noted so far."""
    begun = any(home.folder.glob("runs/grid/*/run.json"))
    return {one["job"] for tries in home.run["tries"].values() for one in tries} if begun else set()


def _job(home: Home, cell: str) -> str:
    return str(home.run["tries"][cell][-1]["job"])


def _tries(home: Home) -> dict[str, int]:
    return {cell: len(tries) for cell, tries in home.run["tries"].items()}


def _left(home: Home, cell: str) -> bool:
    return any(event["cell"] == cell and event["stage"] == "worker" for event in home.events())


def _workers(home: Home) -> list[psutil.Process]:
    return [process for process in naming(home.top) if "ldmiss_pipeline.grid.worker" in process.cmdline()]
