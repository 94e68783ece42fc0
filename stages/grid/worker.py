"""One cell of the grid, on any machine: `python -m stages.grid.worker --cell 0.5-42 --commit SHA ...`.

Works in a clone of its own with its own DVC cache, takes from the remote what is there (what all cells share lies there
already), runs the cell stage by stage, and pushes each stage's results when it has ended. Asked to leave (SIGTERM,
SIGINT, SIGUSR2) it stops the stage, which saves its checkpoint, pushes what has ended and leaves. It never writes into
the coordinator's copy of the project.
"""

import argparse
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from ldmiss.errors import InputError, one_line
from stages.grid.cells import Cells
from stages.grid.clone import Clone, cloned
from stages.grid.events import WORKER, add_event, read_events
from stages.grid.remote import load_remote, local_folder, redacted, secrets
from stages.params import load
from stages.work import Pipeline

DONE, FAILED, PREEMPTED = 0, 1, 143
"""Exit statuses."""
STOP_SECONDS = 15.0
"""From asking a stage to leave until it is killed: it may take `stages.stop.GRACE_SECONDS` to save."""
REMOTE_SECONDS = 180.0
"""Longest time that a worker tries to reach a remote that is away."""
LAST_PUSH_SECONDS = 20.0
"""The same of a worker that was asked to leave: schedulers kill about 30 seconds later."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)
_HOW = (("Running stage", "executed"), ("is cached - skipping run", "cached"))
"""What DVC prints -> how the stage came to its outs; without any of it, they were those of dvc.lock."""


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit status and its output."""

    status: int
    lines: list[str]

    @property
    def reason(self) -> str:
        """The line that says why it failed: our own error, else DVC's, else the last."""
        for mark in ("error: ", "ERROR: ", ""):
            if lines := [line for line in self.lines if line.strip() and line.startswith(mark)]:
                return one_line(lines[-1])
        return f"exit status {self.status}"


class Worker:
    """Runs the stages of one cell in a clone, and says so.

    Args:
        event: fields of every event.
        events: file that they are appended to; None: they are printed.
        hidden: values that are never printed.
    """

    def __init__(self, event: dict[str, Any], events: Path | None, hidden: list[str]) -> None:
        self._event, self._events, self._hidden = event, events, hidden
        self._running_stage = False
        self._stopping = False
        self._asked_at = 0.0
        self._asked: list[psutil.Process] = []

    def run(self, clone: Clone, labels: Sequence[str], remote: str, folder: Path | None) -> int:
        """Run the stages in this order; the exit status.

        Args:
            clone: where.
            labels: of the stages.
            remote: name of the one to push to.
            folder: of a directory remote, which has to be there; None for others.
        """
        unpushed: list[str] = []
        for label in labels:
            if self._stopping:
                break
            ended, how, seconds = self._reproduce(clone, label, folder)
            if self._stopping and ended.status != 0:
                self._say(label, "preempted", seconds=seconds)
                break
            if ended.status != 0:
                self._say(label, "failed", seconds=seconds, reason=ended.reason)
                self._push(clone, unpushed, remote, folder)
                return self.leave("failed", f"{label}: {ended.reason}")
            if how == "executed":
                unpushed.append(label)
            if self._push(clone, unpushed, remote, folder):
                unpushed = []
            self._say(label, "done", how=how, seconds=seconds, device=_device(clone, label))
        if unpushed and not self._push(clone, unpushed, remote, folder):
            return self.leave("failed", f"remote {remote}: {len(unpushed)} stages could not be pushed")
        return self.leave("preempted" if self._stopping else "done")

    def leave(self, status: str, reason: str = "") -> int:
        """Say how the worker ends; its exit status."""
        self._say(WORKER, status, **({"reason": redacted(reason, self._hidden)} if reason else {}))
        return {"done": DONE, "failed": FAILED, "preempted": PREEMPTED}[status]

    def take_signals(self) -> None:
        """From now on a signal stops the stage under way, and the worker after it."""
        for signum in _SIGNALS:
            signal.signal(signum, self._on_signal)
        signal.signal(signal.SIGALRM, lambda signum, frame: _signal_all(self._asked, signal.SIGKILL))

    def _on_signal(self, signum: int, frame: Any) -> None:
        del signum, frame
        if self._stopping:
            return
        self._stopping, self._asked_at = True, time.monotonic()
        if self._running_stage:  # DVC leaves at once and its stage when it has saved: both are asked
            self._asked = descendants()
            _signal_all(self._asked, signal.SIGTERM)
            signal.setitimer(signal.ITIMER_REAL, STOP_SECONDS)

    def _reproduce(self, clone: Clone, label: str, folder: Path | None) -> tuple[Ended, str, float]:
        """Run or fetch one stage, again where it was the remote that failed; what happened, how, seconds."""
        self._say(label, "running")
        start = time.monotonic()
        ended, how = Ended(FAILED, [f"ERROR: the remote's folder {folder} is not there"]), ""
        for _ in self._tries(folder):
            self._running_stage = True
            ended = self._dvc(clone, "repro", "--pull", "--single-item", label)
            self._running_stage = False
            how = next((how for mark, how in _HOW if any(mark in line for line in ended.lines)), "unchanged")
            if ended.status == 0 or how == "executed" or self._stopping:
                break
        signal.setitimer(signal.ITIMER_REAL, 0)
        return ended, how, round(time.monotonic() - start, 2)

    def _push(self, clone: Clone, labels: list[str], remote: str, folder: Path | None) -> bool:
        """Push the outs and run-cache entries of stages; whether that was done."""
        if not labels:
            return True
        command = ("push", "--quiet", "--run-cache", "--remote", remote, *labels)
        return any(self._dvc(clone, *command).status == 0 for _ in self._tries(folder))

    def _tries(self, folder: Path | None) -> Iterator[None]:
        """Yield again and again while there is time, but not while the folder of a directory remote is away.

        DVC would take a folder that is not mounted for an empty remote, and run again what the remote has.
        """
        start, pause = time.monotonic(), 1.0
        while True:
            if folder is None or folder.is_dir():
                yield
            deadline = self._asked_at + LAST_PUSH_SECONDS if self._stopping else start + REMOTE_SECONDS
            if time.monotonic() + pause > deadline:
                return
            time.sleep(pause)
            pause = min(2 * pause, 8.0)

    def _dvc(self, clone: Clone, *arguments: str) -> Ended:
        """Run DVC there; its output goes to ours, line by line, without secrets."""
        lines = []
        command = [sys.executable, "-m", "dvc", "--wait-for-lock", *arguments]
        with subprocess.Popen(  # noqa: S603 - our own command
            command, cwd=clone.folder, env=clone.environment, text=True, errors="replace",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(redacted(line.rstrip("\n"), self._hidden))
                print(lines[-1], flush=True)
        return Ended(process.returncode, lines)

    def _say(self, stage: str, status: str, **more: Any) -> None:
        add_event(self._events, {**self._event, "stage": stage, "status": status, **more})


def descendants() -> list[psutil.Process]:
    """Every process that descends from this one."""
    return psutil.Process().children(recursive=True)


def _signal_all(processes: Iterable[psutil.Process], signum: int) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signum)


def _device(clone: Clone, label: str) -> str | None:
    """What the stage's own record says it ran on; None for a stage that computes on no device."""
    stage, _, item = label.partition("@")
    records = read_events(clone.folder / "runs/records.jsonl")
    return next((of.get("device") for of in reversed(records) if (of["stage"], of["item"]) == (stage, item)), None)


def main(arguments: list[str] | None = None) -> int:
    """Run a cell; the exit status."""
    args = _parser().parse_args(arguments)
    if args.log is not None:
        args.log.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(args.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(descriptor, sys.stdout.fileno())
        os.dup2(descriptor, sys.stderr.fileno())
    name, settings = load_remote(args.remote_config)
    event = {"cell": args.cell, "attempt": args.attempt, "host": platform.node()}
    worker = Worker(event, args.events, secrets(settings))
    worker.take_signals()
    try:
        with cloned(args.origin, args.commit, args.params, args.remote_config, args.checkpoints) as clone:
            _, document = load(clone.folder / "params.yaml")
            cells = Cells(Pipeline(document, clone.folder / "dvc.yaml"))
            (cell,) = cells.chosen([args.cell])
            labels = [work.label for work in [*cells.shared(), *cells.works(cell)]]
            status = worker.run(clone, labels, name, local_folder(settings))
            _signal_all(descendants(), signal.SIGKILL)
    except InputError as error:
        print(f"error: worker {args.cell}: {error}", file=sys.stderr)
        return worker.leave("failed", str(error))
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m stages.grid.worker", description=__doc__.split("\n")[0])
    parser.add_argument("--cell", required=True, metavar="RATE-SEED")
    parser.add_argument("--commit", required=True, metavar="SHA")
    parser.add_argument("--origin", required=True, metavar="URL", help="or path, from which git clones the commit")
    parser.add_argument("--params", required=True, type=Path, metavar="FILE", help="becomes params.yaml of the clone")
    parser.add_argument(
        "--remote-config", required=True, type=Path, metavar="FILE", help="mode 0600, a section of DVC's configuration"
    )
    parser.add_argument("--attempt", type=int, default=1)
    parser.add_argument("--events", type=Path, metavar="FILE", help="default: printed")
    parser.add_argument("--log", type=Path, metavar="FILE", help="default: standard output")
    parser.add_argument("--checkpoints", type=Path, metavar="DIR", help="default: lost with the clone")
    return parser


if __name__ == "__main__":
    sys.exit(main())
