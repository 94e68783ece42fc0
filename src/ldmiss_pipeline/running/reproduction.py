"""Several stages of one workspace at a time, each by a `dvc repro --single-item` of its own.

DVC decides whether a stage has to run, runs it and records it; here is decided which comes next: that with the longest
chain of stages behind it. Each stage writes to `runs/logs/`. Where one fails, what does not need it goes on. What
another process is at work on is waited for.
"""

import math
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from ldmiss_pipeline.artifacts.paths import RUNS
from ldmiss_pipeline.running.graph import Graph
from ldmiss_pipeline.running.locks import STARTED_BY, dvcs_at_work, is_running, last_starter

LOGS = RUNS / "logs"
DVC = ("dvc", "--wait-for-lock")
RETRY_SECONDS = 2.0
_POLL_SECONDS = 0.05
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_TERM_SECONDS = 1.0
"""From a SIGTERM to passing it on: by then it has ended DVC where it was sent to all processes."""


@dataclass(frozen=True)
class Ended:
    """How a stage ended.

    Attributes:
        label: `<stage>@<item>`.
        executed: whether the stage itself ran; else DVC had its results, or failed before.
        seconds: with DVC's own.
        status: of DVC's process; 0 is success.
        log: what it wrote.
    """

    label: str
    executed: bool
    seconds: float
    status: int
    log: Path

    def lines(self) -> list[str]:
        """What to show of the log: the stage's own lines, and where it failed the end of it."""
        lines = self.log.read_text(errors="replace").splitlines()
        if self.status:
            return [*lines[-15:], f"error: {self.label}: failed; all it wrote is in {self.log}"]
        own = [line for line in lines if line.startswith(("warning:", "goes on from", f"{self.label}:"))]
        return own if self.executed else [*own, f"{self.label}: cached"]


@dataclass
class _Running:
    process: "subprocess.Popen[bytes]"
    start: float
    name: str
    log: Path


class Reproduction:
    """Runs stages of one workspace, several at a time.

    Args:
        graph: of the pipeline.
        jobs: stages at a time.
        on_end: is told of each stage that ended.
        on_start: is told the label of each stage that starts.
        options: more of `dvc repro`, such as `--pull`.

    Attributes:
        signum: of the signal that asked to stop; None before.
    """

    def __init__(
        self,
        graph: Graph,
        jobs: int,
        on_end: Callable[[Ended], None],
        options: Sequence[str] = (),
        on_start: Callable[[str], None] = lambda label: None,
    ) -> None:
        self._graph, self._jobs, self._options = graph, jobs, options
        self._on_end, self._on_start = on_end, on_start
        self._running: dict[str, _Running] = {}
        self._not_before: dict[str, float] = {}  # of labels that are tried again
        self._waiting: set[str] = set()
        self._refused: set[str] = set()  # at the last try, by nobody that is still there
        self._pass_on_at = math.inf
        self._asked: set[psutil.Process] = set()
        self.signum: int | None = None

    @property
    def running(self) -> list[str]:
        """Labels of the stages that run now."""
        return list(self._running)

    def run(self, labels: Iterable[str]) -> list[str]:
        """Run these stages, each after those among them that it waits for; main thread only.

        Returns:
            The labels that did not succeed, or were not reached.
        """
        chains, places = self._graph.chains(), {label: place for place, label in enumerate(self._graph.before)}
        left = sorted(set(labels), key=lambda label: (-chains[label], places[label]))
        missing = set(left)
        with self._taking_signals():
            try:
                while self._running or self._ready(left, missing):
                    self._start_some(left, missing)
                    time.sleep(_POLL_SECONDS)
                    self._ask_to_leave()
                    for ended in list(self._ended()):
                        refused = ended.status and not ended.executed and self.signum is None
                        if refused and self._is_tried_again(ended.label):
                            left.insert(0, ended.label)
                            continue
                        if not ended.status:
                            missing.discard(ended.label)
                        self._on_end(ended)
            except BaseException:
                self._leave()
                raise
        return [label for label in self._graph.before if label in missing]

    def _ready(self, left: list[str], missing: set[str]) -> list[str]:
        if self.signum is not None:
            return []
        return [label for label in left if not self._graph.before[label] & missing]

    def _start_some(self, left: list[str], missing: set[str]) -> None:
        for label in self._ready(left, missing):
            if self.signum is not None or len(self._running) == self._jobs:
                return
            if time.monotonic() >= self._not_before.get(label, 0.0):
                left.remove(label)
                self._on_start(label)
                self._start(label)

    def _start(self, label: str) -> None:
        LOGS.mkdir(parents=True, exist_ok=True)
        log, name = LOGS / f"{label}.{os.getpid()}.log", uuid.uuid4().hex
        command = [*DVC, "repro", "--single-item", *self._options, label]
        with log.open("wb") as file:
            # In a session of its own: a terminal's Ctrl-C reaches only us.
            process = subprocess.Popen(  # noqa: S603 - DVC, with a label of the pipeline
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
                env={**os.environ, STARTED_BY: name},
            )  # fmt: skip
        self._running[label] = _Running(process, time.monotonic(), name, log)

    def _ended(self) -> Iterator[Ended]:
        for label, running in list(self._running.items()):
            status = running.process.poll()
            if status is not None and (self.signum is None or not _has_processes(running.process.pid)):
                del self._running[label]
                log, seconds = running.log.rename(LOGS / f"{label}.log"), time.monotonic() - running.start
                yield Ended(label, last_starter(label) == running.name, seconds, status, log)

    def _is_tried_again(self, label: str) -> bool:
        """Whether a stage did not come to run because another process is at work there, or was a moment ago."""
        item = self._graph.items[label]
        pids = dvcs_at_work(reads=item.deps, writes=item.outs)
        self._not_before[label] = time.monotonic() + RETRY_SECONDS
        if not pids and not is_running(label):
            is_again = label not in self._refused  # whoever was there may have left since DVC looked
            self._refused.add(label)
            return is_again
        self._refused.discard(label)
        if label not in self._waiting:
            self._waiting.add(label)
            who = f"another DVC is at work there (PID {', '.join(pids)})" if pids else "another process is running it"
            print(f"{label}: waits; {who}", file=sys.stderr, flush=True)
        return True

    @contextmanager
    def _taking_signals(self) -> Iterator[None]:
        before = {signum: signal.signal(signum, self._on_signal) for signum in _SIGNALS}
        try:
            yield
        finally:
            for signum, handler in before.items():
                signal.signal(signum, handler)

    def _on_signal(self, signum: int, frame: Any) -> None:
        del frame
        if self.signum is None:
            self._pass_on_at = time.monotonic() + (_TERM_SECONDS if signum == signal.SIGTERM else 0.0)
        self.signum = signum
        self._asked.clear()

    def _ask_to_leave(self) -> None:
        """Pass a signal on to the stages, once for each that came: a stage that is asked twice does not save.

        Not to DVC, which sees its command fail: while it records a stage, a signal would cut dvc.lock off. A scheduler
        sends SIGTERM to every process of a job; that ends DVC at once, and its stage has been asked already.
        """
        if self.signum is None or time.monotonic() < self._pass_on_at:
            return
        for running in self._running.values():
            with suppress(psutil.NoSuchProcess):
                for process in psutil.Process(running.process.pid).children(recursive=True):
                    if process not in self._asked:
                        self._asked.add(process)
                        process.send_signal(signal.SIGINT)

    def _leave(self) -> None:
        """Let no stage go on unseen."""
        self.signum, self._pass_on_at = self.signum or signal.SIGTERM, 0.0
        while self._running:
            self._ask_to_leave()
            time.sleep(_POLL_SECONDS)
            list(self._ended())


def _has_processes(group: int) -> bool:
    """Whether a process group has any that lives: a stage may outlive its DVC, and leaves when it has saved."""
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                return True
    return False
