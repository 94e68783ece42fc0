"""Events inside a running stage: each is appended to a log, and at a chosen one the process kills itself.

The log survives SIGKILL (the kernel has it), so that the work of all runs of a try can be added up.
"""

import importlib
import io
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ldmiss_pipeline.config.registry import STAGES

WORK = ("step", "sampled", "chunk")
"""Events of a unit of work: an optimiser step begins, a sampler's ends, a chunk of an inference begins."""


@dataclass(frozen=True)
class Stop:
    """Send a signal at the `count`-th event of a name, counted from 1 within the process."""

    event: str
    count: int
    signal: int = signal.SIGKILL
    group: bool = False


class Events:
    """The log of one process, and where it stops."""

    def __init__(self, log: Path, stop: Stop | None = None) -> None:
        self._file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._stop = stop
        self._seen: Counter[str] = Counter()
        self.units = 0
        os.write(self._file, b"start\t\n")

    def hit(self, event: str, detail: str = "") -> None:
        """Log the event, then stop here if this is the place."""
        os.write(self._file, f"{event}\t{detail}\n".encode())
        self._seen[event] += 1
        self.units += event in WORK
        if self._stop is not None and (event, self._seen[event]) == (self._stop.event, self._stop.count):
            (os.killpg if self._stop.group else os.kill)(0 if self._stop.group else os.getpid(), self._stop.signal)


def install(events: Events, stages: Iterable[str] = STAGES, at_a_time: int = 1) -> None:
    """Make every one of `stages` that this process runs report to `events`, with so many chunks side by side."""
    from ldmiss_pipeline.compute.device import Runtime

    for stage in stages:
        importlib.import_module(f"stages.{stage}")
    Runtime.num_at_a_time = property(lambda runtime: at_a_time)  # type: ignore[method-assign,assignment]
    _watch_training(events)
    _watch_chunks(events)
    _watch_samplers(events)
    _watch_checkpoints(events)
    _watch_files(events)


def _watch_training(events: Events) -> None:
    from ldmiss.training.loop import Training

    update, run = Training._update, Training.run

    def watched_update(self: Any, loss: Any) -> None:
        events.hit("step", f"{self.seed}:{self.step}")
        update(self, loss)

    def watched_run(self: Any, batch_loss: Any, on_step: Callable[[Any], None] | None = None) -> None:
        def watched(training: Any) -> None:
            events.hit("stepped")
            if on_step is not None:
                on_step(training)

        run(self, batch_loss, watched)

    Training._update, Training.run = watched_update, watched_run  # type: ignore[method-assign]


def _watch_chunks(events: Events) -> None:
    from ldmiss.core.batching import in_chunks

    def watched(compute: Callable[[slice], Any], num_rows: int, *, name: str, **rest: Any) -> Any:
        def compute_watched(rows: slice) -> Any:
            events.hit("chunk", f"{name}:{rows.start}-{rows.stop}")
            value = compute(rows)
            events.hit("chunked")
            return value

        return in_chunks(compute_watched, num_rows, name=name, **rest)

    _rebind(in_chunks, watched)


def _watch_samplers(events: Events) -> None:
    from ldmiss.core.saved_steps import SavedSteps

    offer = SavedSteps.offer

    def watched(self: Any, step: int, *state: Any) -> None:
        if self._slot:
            events.hit("sampled", f"{self._slot}:{step}")
        offer(self, step, *state)

    SavedSteps.offer = watched  # type: ignore[method-assign]


def _watch_checkpoints(events: Events) -> None:
    from ldmiss_pipeline.running.checkpoint import FileCheckpoint

    for name in ("drop", "remove"):
        original = getattr(FileCheckpoint, name)

        def watched(self: Any, *args: Any, original: Any = original, name: str = name) -> Any:
            events.hit(f"before {name}")
            result = original(self, *args)
            events.hit(f"after {name}")
            return result

        setattr(FileCheckpoint, name, watched)


def _watch_files(events: Events) -> None:
    from ldmiss.files.atomic import atomic_write

    def watched_write(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
        def write_in_two(file: IO[bytes]) -> None:
            whole = io.BytesIO()
            write(whole)
            content = whole.getvalue()
            file.write(content[: len(content) // 2])
            file.flush()
            events.hit(f"{_kind(path)} half written")
            file.write(content[len(content) // 2 :])

        atomic_write(path, write_in_two)

    _rebind(atomic_write, watched_write)
    replace = os.replace

    def watched_replace(source: Any, target: Any, **rest: Any) -> None:
        kind = _kind(Path(target))
        events.hit(f"before {kind} rename")
        replace(source, target, **rest)
        if kind == "checkpoint":
            events.hit("saved", Path(target).name)
        events.hit(f"after {kind} rename", Path(target).name)

    os.replace = watched_replace  # type: ignore[assignment]  # pathlib's goes through it


def _rebind(original: Any, watched: Any) -> None:
    """Put `watched` in the place of a function in every module of ours that has it by name."""
    ours = [
        module
        for name, module in sys.modules.items()
        if name.partition(".")[0] in ("ldmiss", "ldmiss_pipeline", "stages")
    ]
    for module in ours:
        for name in [name for name, value in vars(module).items() if value is original]:
            setattr(module, name, watched)


def _kind(path: Path) -> str:
    return "checkpoint" if "ckpt" in path.parts else "out"


def redone(log: Path) -> list[int]:
    """For each run in the log, how many of its units of work were done again by a later one.

    A chunk is a unit only where it has no steps of a sampler: one that is begun again goes on from them.
    """
    lines = [line.partition("\t") for line in log.read_text().splitlines()]
    sampled = {detail.partition("-steps:")[0] for event, _, detail in lines if event == "sampled"}
    runs: list[set[str]] = []
    for event, _, detail in lines:
        if event == "start":
            runs.append(set())
        elif event in WORK and (event != "chunk" or detail.rpartition("-")[0].replace(":", "-") not in sampled):
            runs[-1].add(detail)
    return [len(run & set().union(*runs[number + 1 :])) for number, run in enumerate(runs)]


def last_event(log: Path) -> str:
    """The last event that was logged."""
    return log.read_text().splitlines()[-1].partition("\t")[0]


def counted(log: Path) -> Counter[str]:
    """How often each event was logged."""
    return Counter(line.partition("\t")[0] for line in log.read_text().splitlines())
