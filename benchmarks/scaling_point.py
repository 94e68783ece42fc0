"""One point of `benchmarks.scaling` in a process of its own, in the project that is the current folder.

    python -m benchmarks.scaling_point prepare
    python -m benchmarks.scaling_point sample|impute

`prepare` makes what sampling and imputing need: LDMiss after two steps of training, which costs the same to evaluate as
a trained one. A point runs the stage through the runner, all of it, and prints the seconds that its chunks took after
a warm-up with one row; starting Python and importing torch are left out.
"""

import argparse
import importlib
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from benchmarks.memory_case import CELL, cut_short
from ldmiss_pipeline.artifacts.paths import Item
from ldmiss_pipeline.running.runner import run_stage

if TYPE_CHECKING:
    from torch import Tensor

METHOD = "ldmiss"
NEEDED = ("mask", "train_vae", "encode_latents", "train_ldm")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling_point", description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["prepare", "sample", "impute"])
    what = parser.parse_args().what
    if what == "prepare":
        prepare()
    else:
        print(timed(what))


def prepare() -> None:
    """Data, and a model that is hardly trained."""
    run_stage("download", Item())
    cut_short()
    for stage in NEEDED:
        run_stage(stage, CELL)


def timed(stage: str) -> float:
    """Seconds of the chunks of `sample` or `impute`."""
    module = importlib.import_module(f"stages.{stage}")
    in_chunks, seconds = module.in_chunks, 0.0

    def clocked(
        checkpoint: Any, slot: str, num_rows: int, size: int, compute: Callable[[slice], "Tensor"], *rest: Any
    ) -> "Tensor":
        nonlocal seconds
        compute(slice(0, 1))
        start = time.perf_counter()
        result: Tensor = in_chunks(checkpoint, slot, num_rows, size, compute, *rest)  # each ends on the CPU
        seconds += time.perf_counter() - start
        return result

    module.in_chunks = clocked  # type: ignore[attr-defined]
    try:
        run_stage(stage, replace(CELL, method=METHOD))
    finally:
        module.in_chunks = in_chunks  # type: ignore[attr-defined]
    return seconds


if __name__ == "__main__":
    main()
