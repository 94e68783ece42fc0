"""Run what fits into a slice, step by step, and carry away after each step what there is.

A whole part that can end on this machine comes before a step of one that cannot: what is sampled and imputed where it
was trained rests on the trained weights, not on rounded ones.
"""

import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from ldmiss.errors import InputError
from stages.__main__ import run_stage
from stages.context import Context
from stages.estimate import Estimates
from stages.evaluate import Evaluation
from stages.paths import Item
from stages.slices.baggage import TOTAL_BYTES, carry_weights, is_rounded, result_contents, write_parts
from stages.slices.order import Order, Step
from stages.slices.pieces import Pieces
from stages.slices.workspace import RESULTS, add_timing, mark_ended
from stages.stop import Stop, Stopped
from stages.units import TRAINED

CHECKPOINTED = ("train_classifier", *TRAINED, "sample", "impute")
"""Stages that, cut anywhere, go on where they were, on the same machine."""
RESERVE_SECONDS = 30.0
"""Kept at the end of a command for saving the checkpoint (10 s at most, `stages.stop`) and for carrying away."""
_LEAST_SECONDS = 5.0


@dataclass(frozen=True)
class Budget:
    """When to end.

    Attributes:
        here: seconds of this command.
        later: seconds that the same machine will be had for after it.
        clock: a monotonic one.
    """

    here: float
    later: float
    clock: Callable[[], float] = time.monotonic

    def ending(self) -> Callable[[], float]:
        """The seconds left of this command, from now on."""
        end = self.clock() + self.here - RESERVE_SECONDS
        return lambda: end - self.clock()


class Drive:
    """One command of a slice, in its workspace.

    Args:
        order: what is left.
        estimates: how long it takes.
        pieces: where metrics go.
        origin: commit and machine, for the metrics and timings.
        out: what is carried away.
        exact: only parts that can end on this machine.
    """

    def __init__(
        self, order: Order, estimates: Estimates, pieces: Pieces, *,
        origin: dict[str, Any], out: Path, exact: bool, contexts: Callable[[Item], Context],
    ) -> None:  # fmt: skip
        self.order, self.estimates, self.pieces = order, estimates, pieces
        self.origin, self.out, self.exact = origin, out, exact
        self._context = contexts
        self._evaluation: tuple[Context, Evaluation] | None = None
        self._failed: set[str] = set()
        self._weights: list[Path] = []

    def run(self, budget: Budget) -> str:
        """Run until nothing is left or nothing fits; a line that says which, and what failed."""
        left = budget.ending()
        ended = "nothing fits into what is left"
        while step := self.next_step(left(), budget.later):
            if not self._step(step, left()):
                ended = f"{step.label} was cut: it goes on from its checkpoint on this machine"
                break
            self.carry_away()
        self.carry_away()
        if not any(self.order.steps(part) for part in self.order.parts):
            ended = "all parts are done"
        return ended + (f"; failed: {', '.join(sorted(self._failed))}" if self._failed else "")

    def next_step(self, left: float, later: float) -> Step | None:
        """The next step that may be started with so many seconds left of this command, and later on this machine."""
        waiting = [steps for part in self.order.parts if (steps := self.order.steps(part))]
        waiting = [steps for steps in waiting if not self._failed & {step.label for step in steps}]
        for steps in waiting:
            if self._seconds(steps) <= left + later and self._may_start(steps[0], left, later):
                return steps[0]
        if self.exact:
            return None
        return next((steps[0] for steps in waiting if self._may_start(steps[0], left, later)), None)

    def _seconds(self, steps: list[Step]) -> float:
        return sum(self.estimates.seconds(step) for step in steps)

    def _may_start(self, step: Step, left: float, later: float) -> bool:
        seconds = self.estimates.seconds(step)
        goes_on = step.stage in CHECKPOINTED and left >= _LEAST_SECONDS and seconds <= left + later
        return seconds <= left or goes_on

    def _step(self, step: Step, left: float) -> bool:
        """Run a step; False where the time was up first."""
        print(f"{left:.0f} s left; {step.label}, about {self.estimates.seconds(step):.0f} s", flush=True)
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        start = time.monotonic()
        stop = Stop()
        record: dict[str, Any] = {}
        ended = False
        try:
            with stop.installed():
                signal.setitimer(signal.ITIMER_REAL, max(left, 1.0))
                record = self._measure(step) if step.measure else run_stage(step.work.stage, step.work.item, stop)
            ended = True
        except Stopped as stopped:
            if stopped.signum != signal.SIGALRM:
                raise
        except (InputError, RuntimeError) as error:  # torch's errors are RuntimeErrors; other parts may still be done
            self._failed.add(step.label)
            print(f"error: {step.label}: {error}", file=sys.stderr)
            traceback.print_exc()
        finally:
            self._record(step, record, time.monotonic() - start, ended=ended)
        if ended and not step.measure:
            mark_ended(step.work.label, step.work.stamp["params"])
        return ended or step.label in self._failed

    def _measure(self, step: Step) -> dict[str, Any]:
        item = step.work.item
        cell = Item(item.missing_rate, item.seed)
        if self._evaluation is None or self._evaluation[0].item != cell:
            context = self._context(cell)
            self._evaluation = context, Evaluation(context)
        self.pieces.write(step.work, *self._evaluation, self.origin)
        return {}

    def _record(self, step: Step, record: dict[str, Any], seconds: float, *, ended: bool) -> None:
        runtime = self._context(Item(step.work.item.missing_rate, step.work.item.seed)).runtime
        keys = ("peak_gpu_memory_mb", "chunk_size")
        row = {
            "label": step.label, "stage": step.stage, "item": step.work.item.name, "method": step.work.item.method,
            "params": step.work.stamp["params"], "ended": ended, "seconds": round(seconds, 2), **self.origin,
            **runtime.record(), "time": datetime.now(UTC).isoformat(timespec="seconds"),
            **{key: record[key] for key in keys if key in record},
        }  # fmt: skip
        add_timing(row)
        self.estimates.add(row)

    def carry_away(self) -> None:
        """Write what was measured and the networks trained here: those that what is left needs, then the newest."""
        used = write_parts(self.out, "results", result_contents(RESULTS))
        models = {self._model(stage, part.cell) for part in self.order.parts for stage in TRAINED}
        trained = [path for path in models if path.is_file() and not is_rounded(path)]
        trained.sort(key=lambda path: (-path.stat().st_mtime_ns, path))
        wanted = list(dict.fromkeys([*self.order.needed(lambda path: path in trained), *trained]))
        self._weights = carry_weights(self.out, wanted, self._weights, TOTAL_BYTES - used)

    def _model(self, stage: str, cell: Item) -> Path:
        return self.order.pipeline.work(stage, cell).outs[0]
