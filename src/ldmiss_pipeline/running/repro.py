"""`dvc repro` with several stages at a time: `python -m ldmiss_pipeline repro [--jobs N] [TARGET ...]`.

DVC runs one stage after another (its issue 755). Small networks cannot use all cores: two stages of the quick profile
side by side, one thread each, end 1.4 times as early as one after another with two threads. Here DVC still decides
what has changed, runs each stage (`dvc repro --single-item`) and records it; we only decide which comes next, that with
the longest chain of stages behind it.

Each stage writes to `runs/logs/`. Where one fails, what does not need it goes on. Ctrl-C and SIGTERM are passed on to
the stages, which save a checkpoint and leave, but not to DVC, which may be writing dvc.lock. If this process is killed,
its stages go on, and the next call waits for them.
"""

import argparse
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil
from tqdm import tqdm

from ldmiss.errors import InputError
from ldmiss_pipeline.artifacts.paths import RUNS
from ldmiss_pipeline.compute.cores import num_cores
from ldmiss_pipeline.config import params as params_module
from ldmiss_pipeline.running.graph import Graph
from ldmiss_pipeline.running.pipeline import Pipeline

LOGS = RUNS / "logs"
DVC = ("dvc", "--wait-for-lock")
_POLL_SECONDS = 0.05
_RETRY_SECONDS = 2.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_TERM_SECONDS = 1.0
"""From a SIGTERM to passing it on: by then it has ended DVC where it was sent to all processes."""
How = Literal["executed", "cached", "unchanged"]


@dataclass(frozen=True)
class Ended:
    """How a stage ended.

    Attributes:
        label: `<stage>@<item>`.
        how: run, taken from DVC's run cache, or left as it was.
        seconds: with DVC's own.
        status: of DVC's process; 0 is success.
        log: what it wrote.
    """

    label: str
    how: How
    seconds: float
    status: int
    log: Path

    def lines(self) -> list[str]:
        """What to show of the log: the stage's own lines, and where it failed the end of it."""
        lines = self.log.read_text(errors="replace").splitlines()
        if self.status:
            return [*lines[-15:], f"error: {self.label}: failed; all it wrote is in {self.log}"]
        own = [line for line in lines if line.startswith(("warning:", f"{self.label}:"))]
        return own if self.how == "executed" else [*own, f"{self.label}: {self.how}"]


@dataclass
class _Running:
    process: "subprocess.Popen[bytes]"
    start: float
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
        self._not_before: dict[str, float] = {}  # of labels that wait for another process
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
                        if ended.status and self.signum is None and self._must_wait(ended):
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
        log = LOGS / f"{label}.{os.getpid()}.log"
        command = [*DVC, "repro", "--single-item", *self._options, label]
        with log.open("wb") as file:
            # In a session of its own: a terminal's Ctrl-C reaches only us.
            process = subprocess.Popen(  # noqa: S603 - DVC, with a label of the pipeline
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
            )
        self._running[label] = _Running(process, time.monotonic(), log)

    def _ended(self) -> Iterator[Ended]:
        for label, running in list(self._running.items()):
            status = running.process.poll()
            if status is not None and (self.signum is None or not _has_processes(running.process.pid)):
                del self._running[label]
                log = running.log.rename(LOGS / f"{label}.log")
                yield Ended(label, _how(log), time.monotonic() - running.start, status, log)

    def _must_wait(self, ended: Ended) -> bool:
        """Whether a stage failed only because another process has it, or a file of it; then it is tried again."""
        blocker = _blocker(ended.log.read_text(errors="replace"))
        if blocker is None:
            return False
        if ended.label not in self._not_before:
            print(f"{ended.label}: waits; {blocker}", file=sys.stderr, flush=True)
        self._not_before[ended.label] = time.monotonic() + _RETRY_SECONDS
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


def _blocker(text: str) -> str | None:
    """What has to end first, of what DVC or the runner say; None where that is nothing, or will not end for us.

    DVC notes who uses a file by the number of its process; after a restart the number may be that of any other.
    """
    if found := re.search(r"another process is running .*", text):
        return found[0]
    if "is busy, it is being blocked by" not in text:
        return None
    pids = re.findall(r"\(PID (\d+)\)", text)
    if any(psutil.pid_exists(int(pid)) and not _is_dvc(int(pid)) for pid in pids):
        return None
    return f"another DVC is at work there (PID {', '.join(pids)})"


def _is_dvc(pid: int) -> bool:
    try:
        return any(Path(part).name == "dvc" for part in psutil.Process(pid).cmdline()[:3])
    except psutil.Error:
        return False


def _how(log: Path) -> How:
    text = log.read_text(errors="replace")
    if "Running stage" in text:
        return "executed"
    return "cached" if "is cached - skipping run" in text else "unchanged"


def changed() -> list[str]:
    """Labels of the stages that `dvc status` finds changed themselves; those that wait for them are not among them.

    Raises:
        InputError: DVC cannot read the project.
    """
    said = False
    while True:
        done = subprocess.run(  # noqa: S603 - DVC
            [*DVC, "status", "--json"], capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        if done.returncode == 0:
            return list(json.loads(done.stdout))
        blocker = _blocker(done.stderr)
        if blocker is None:
            raise InputError(f"dvc status: {done.stderr.strip()}")
        if not said:
            print(f"dvc status: waits; {blocker}", file=sys.stderr, flush=True)
        said = True
        time.sleep(_RETRY_SECONDS)


def default_jobs(num_threads: int | Literal["auto"]) -> int:
    """As many stages as fill the cores; one where each takes all of them."""
    return 1 if num_threads == "auto" else max(1, num_cores() // num_threads)


def main(arguments: list[str] | None = None) -> int:
    """Bring the targets up to date; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m ldmiss_pipeline repro", description=__doc__.split("\n")[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="such as evaluate@0.5-42 (default: everything)")
    parser.add_argument("--jobs", type=int, help="stages at a time (default: cores / compute.num_threads)")
    args = parser.parse_args(arguments)
    try:
        params, document = params_module.load()
        jobs = default_jobs(params.compute.num_threads) if args.jobs is None else args.jobs
        if jobs < 1:
            raise InputError(f"--jobs: {jobs} is not at least 1")
        graph = Graph(Pipeline(document))
        wanted = graph.upstream(args.targets or graph.before)
        if jobs == 1:  # DVC itself then, whose stages show their progress
            os.execvp(DVC[0], [*DVC, "repro", *args.targets])  # noqa: S606 - DVC
        labels = wanted & graph.downstream(wanted.intersection(changed()))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return _run(graph, labels, jobs)


def _run(graph: Graph, labels: set[str], jobs: int) -> int:
    with tqdm(total=len(labels), unit="stage", disable=not sys.stderr.isatty(), dynamic_ncols=True) as bar:

        def on_end(ended: Ended) -> None:
            for line in ended.lines():
                tqdm.write(line)
            sys.stdout.flush()
            bar.set_postfix_str(", ".join(reproduction.running), refresh=False)
            bar.update()

        reproduction = Reproduction(graph, jobs, on_end)
        missing = reproduction.run(labels)
    if reproduction.signum is not None:
        print("stopped; run again to go on", file=sys.stderr)
        return 128 + reproduction.signum
    if missing:
        print(f"error: not made: {', '.join(missing)}", file=sys.stderr)
        return 1
    print(f"{len(labels)} stages brought up to date, the others were" if labels else "everything is up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main())
