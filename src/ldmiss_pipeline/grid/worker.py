"""One cell of the grid, on any machine: `python -m ldmiss_pipeline.grid.worker --cell 0.5-42 --commit SHA ...`.

Works in a clone of its own with its own DVC cache, takes from the remote what is there (what all cells share lies there
already), runs the cell stage by stage, and pushes each stage's results when it has ended. Asked to leave (SIGTERM
or SIGINT) it stops the stage, which saves its checkpoint, pushes what has ended and leaves. It never writes into
the coordinator's copy of the project.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from ldmiss.errors import InputError, one_line
from ldmiss.files.atomic import save_text
from ldmiss_pipeline.artifacts.paths import RUNS
from ldmiss_pipeline.config.params import PARAMS_FILE, load
from ldmiss_pipeline.grid.cells import Cells
from ldmiss_pipeline.grid.clone import cloned
from ldmiss_pipeline.grid.entries import recorded
from ldmiss_pipeline.grid.events import LOCK_MARK, WORKER, add_event, read_events
from ldmiss_pipeline.grid.remote import load_remote, local_folder, redacted, secrets
from ldmiss_pipeline.running.pipeline import StageItem
from ldmiss_pipeline.running.reproduction import DVC, Ended, Reproduction

DONE, FAILED, PREEMPTED = 0, 1, 143
"""Exit statuses."""
REMOTE_SECONDS = 180.0
"""Longest time that a worker tries to reach a remote that is away."""
LAST_PUSH_SECONDS = 20.0
"""The same of a worker that was asked to leave: schedulers kill about 30 seconds later."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Worker:
    """Runs the stages of one cell in the current directory, and says so.

    Args:
        event: fields of every event.
        events: file that they are appended to; None: they are printed.
        remote: name of the one to push to.
        settings: its own.
        lock: file for what DVC recorded; None: it is printed.
    """

    def __init__(
        self, event: dict[str, Any], events: Path | None, remote: str, settings: dict[str, Any],
        lock: Path | None = None,
    ) -> None:  # fmt: skip
        self._event, self._events, self._remote, self._lock = event, events, remote, lock
        self._hidden, self._folder = secrets(settings), local_folder(settings)
        self._asked_at: float | None = None
        self._reproduction: Reproduction | None = None
        self._unpushed: list[str] = []
        self._failed: dict[str, bool] = {}  # label -> whether the stage itself ran
        self._works: dict[str, StageItem] = {}

    def run(self, cells: Cells, cell: str, jobs: int) -> int:
        """Run the stages of a cell, `jobs` at a time; the exit status."""
        graph, self._works = cells.graph(cell), cells.stage_items(cell)
        self._reproduction = Reproduction(graph, jobs, self._on_end, ["--pull"], self._on_start)
        left = [*cells.shared(), *cells.labels(cell)]
        for _ in self._tries():
            self._failed.clear()
            left = self._reproduction.run(left)
            if not left or self._stopping or any(self._failed.values()):
                break  # else it was the remote that failed
        pushed = self._push()
        if self._stopping and left:
            return self.leave("preempted")
        if self._failed:
            return self.leave("failed", f"{', '.join(self._failed)} failed")
        if left or not pushed:
            return self.leave("failed", f"remote {self._remote}: cannot be reached ({self._folder or 'see the log'})")
        self._hand_over(cells.labels(cell))
        return self.leave("done")

    def _hand_over(self, labels: Sequence[str]) -> None:
        """Say what DVC recorded, for `collect` to put into one dvc.lock."""
        text = json.dumps(recorded(labels))
        if self._lock is None:
            print(LOCK_MARK + text, flush=True)
        else:
            save_text(self._lock, text)

    def leave(self, status: str, reason: str = "") -> int:
        """Say how the worker ends; its exit status."""
        self._say(WORKER, status, **({"reason": redacted(reason, self._hidden)} if reason else {}))
        return {"done": DONE, "failed": FAILED, "preempted": PREEMPTED}[status]

    def take_signals(self) -> None:
        """From now on a signal asks to leave."""
        for signum in _SIGNALS:
            signal.signal(signum, self._on_signal)

    def _on_signal(self, signum: int, frame: Any) -> None:
        del signum, frame
        self._asked_at = self._asked_at or time.monotonic()

    @property
    def _stopping(self) -> bool:
        """Whether the worker was asked to leave: `Reproduction` takes the signals while it runs."""
        if self._asked_at is None and self._reproduction is not None and self._reproduction.signum is not None:
            self._asked_at = time.monotonic()
        return self._asked_at is not None

    def _on_start(self, label: str) -> None:
        self._say(label, "running")

    def _on_end(self, ended: Ended) -> None:
        lines = [redacted(line, self._hidden) for line in ended.log.read_text(errors="replace").splitlines()]
        print("\n".join(lines), flush=True)
        seconds = round(ended.seconds, 2)
        if ended.status == 0:
            if ended.executed:
                self._unpushed.append(ended.label)
            self._push()
            stage_item = self._works[ended.label]
            more = {
                "params": stage_item.stamp["params"],
                "method": stage_item.item.method,
                "device": _device(ended.label),
            }
            self._say(ended.label, "done", how="executed" if ended.executed else "cached", seconds=seconds, **more)
        elif self._stopping:
            self._say(ended.label, "preempted", seconds=seconds)
        else:
            self._failed[ended.label] = ended.executed
            self._say(ended.label, "failed", seconds=seconds, reason=reason_of(lines))

    def _push(self) -> bool:
        """Push the outs and run-cache entries of what ended; whether nothing is left to push."""
        for _ in self._tries() if self._unpushed else ():
            command = [*DVC, "push", "--quiet", "--run-cache", "--remote", self._remote, *self._unpushed]
            done = subprocess.run(  # noqa: S603 - DVC
                command, check=False, text=True, errors="replace", start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            print(redacted(done.stdout, self._hidden), end="", flush=True)
            if done.returncode == 0:
                self._unpushed.clear()
                break
        return not self._unpushed

    def _tries(self) -> Iterator[None]:
        """Yield again and again while there is time, but not while the folder of a directory remote is away.

        DVC would take a folder that is not mounted for an empty remote, and run again what the remote has.
        """
        start, pause = time.monotonic(), 1.0
        while True:
            if self._folder is None or self._folder.is_dir():
                yield
            deadline = (self._asked_at or 0.0) + LAST_PUSH_SECONDS if self._stopping else start + REMOTE_SECONDS
            if time.monotonic() + pause > deadline:
                return
            time.sleep(pause)
            pause = min(2 * pause, 8.0)

    def _say(self, stage: str, status: str, **more: Any) -> None:
        add_event(self._events, {**self._event, "stage": stage, "status": status, **more})


def reason_of(lines: Sequence[str]) -> str:
    """The line that says why a stage failed: our own error, else DVC's, else the last."""
    for mark in ("error: ", "ERROR: ", ""):
        if found := [line for line in lines if line.strip() and line.startswith(mark)]:
            return one_line(found[-1])
    return "it wrote nothing"


def _device(label: str) -> str | None:
    """What the stage's own record says it ran on; None for a stage that computes on no device."""
    stage, _, item = label.partition("@")
    records = read_events(RUNS / "records.jsonl")
    return next((of.get("device") for of in reversed(records) if (of["stage"], of["item"]) == (stage, item)), None)


def main(arguments: list[str] | None = None) -> int:
    """Run a cell; the exit status."""
    args = _parser().parse_args(arguments)
    if args.log is not None:
        _print_to(args.log)
    args.remote_config.chmod(0o600)  # it may have been carried here without its mode
    name, settings = load_remote(args.remote_config)
    event = {"cell": args.cell, "attempt": args.attempt, "host": platform.node()}
    worker = Worker(event, args.events and args.events.absolute(), name, settings, args.lock)
    worker.take_signals()
    try:
        _, document = load(args.params)
        with cloned(args.origin, args.commit, args.remote_config, args.checkpoints):
            cells = Cells(document)
            (cell,) = cells.chosen([args.cell])
            save_text(PARAMS_FILE, yaml.safe_dump(cells.only(cell), sort_keys=False))
            return worker.run(cells, cell, args.stage_jobs)
    except InputError as error:
        print(f"error: worker {args.cell}: {error}", file=sys.stderr)
        return worker.leave("failed", str(error))


def _print_to(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(descriptor, stream.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ldmiss_pipeline.grid.worker", description=__doc__.split("\n")[0])
    parser.add_argument("--cell", required=True, metavar="RATE-SEED")
    parser.add_argument("--commit", required=True, metavar="SHA")
    parser.add_argument("--origin", required=True, metavar="URL", help="or path, from which git clones the commit")
    parser.add_argument("--params", required=True, type=Path, metavar="FILE", help="of the whole grid")
    parser.add_argument(
        "--remote-config", required=True, type=Path, metavar="FILE", help="mode 0600, a section of DVC's configuration"
    )
    parser.add_argument("--attempt", type=int, default=1)
    parser.add_argument("--stage-jobs", type=int, default=1, metavar="N", help="stages at a time (default: 1)")
    parser.add_argument("--events", type=Path, metavar="FILE", help="default: printed")
    parser.add_argument("--lock", type=Path, metavar="FILE", help="for what DVC recorded; absolute (default: printed)")
    parser.add_argument("--log", type=Path, metavar="FILE", help="default: standard output")
    parser.add_argument("--checkpoints", type=Path, metavar="DIR", help="default: lost with the clone")
    return parser


if __name__ == "__main__":
    sys.exit(main())
