"""How time and memory grow: `python -m benchmarks.scaling`, under ten minutes on two cores.

Sampling and guided imputation by LDMiss with the networks of the quick profile against images, steps and draws, each
point in a process of its own (`benchmarks.scaling_point`); and DVC against cells, in a toy project whose commands cost
nothing (`benchmarks.rows_dvc`). With `--rounds`, of each point the best over whole rounds counts. Writes
`benchmarks/results/<device>/scaling.*` and the table in docs/performance.md.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import pages, report, scaling_dvc, scaling_report
from benchmarks.memory import make_project
from benchmarks.setting import paper_setting
from benchmarks.usage import usage
from ldmiss.files.atomic import save_text
from ldmiss_pipeline.artifacts.json_files import save_json
from ldmiss_pipeline.config import params
from ldmiss_pipeline.config.compose import composed

ROUNDS = 1
LINEAR, CONSTANT_MEMORY = (0.9, 1.1), (-0.05, 0.05)
"""Slopes that count as 1 and as 0."""
SAMPLE_CHUNK, IMPUTE_CHUNK = 100, 25
"""Rows at a time; up to there memory grows, and time grows by less."""
FIXED = [
    "profile=quick", "plot.num_columns=1", "impute.num_draws=1",
    f"sample.chunk_size={SAMPLE_CHUNK}", f"impute.chunk_size={IMPUTE_CHUNK}",
]  # fmt: skip


@dataclass(frozen=True)
class Axis:
    """A series of points.

    Attributes:
        what, against: for the table.
        stage: of `benchmarks.scaling_point`.
        values: of what it is measured against.
        fit_from: the value from which on the slope counts.
        overrides: choices of params for a value.
    """

    what: str
    against: str
    stage: str
    values: tuple[int, ...]
    fit_from: int
    overrides: Callable[[int], list[str]]


def _sampling(images: int, steps: int) -> list[str]:
    return [f"sample.num_images={images}", f"ldmiss.sample.num_steps={steps}"]


def _imputation(images: int, steps: int, draws: int = 1) -> list[str]:
    sizes = [f"impute.num_images={images}", f"impute.num_draw_images={images}", f"impute.num_draws={draws}"]
    return [*sizes, f"ldmiss.impute.guidance.num_steps={steps}"]


AXES = [
    Axis("sampling", "images", "sample", (50, 100, 200, 800), SAMPLE_CHUNK, lambda n: _sampling(n, 10)),
    Axis("sampling", "steps", "sample", (10, 30, 90), 10, lambda n: _sampling(SAMPLE_CHUNK, n)),
    Axis("guided imputation", "images", "impute", (12, 25, 50, 200), IMPUTE_CHUNK, lambda n: _imputation(n, 5)),
    Axis("guided imputation", "steps", "impute", (5, 15, 45), 5, lambda n: _imputation(IMPUTE_CHUNK, n)),
    Axis("guided imputation", "draws", "impute", (1, 3, 9), 1, lambda n: _imputation(IMPUTE_CHUNK, 5, n)),
]
"""Draws are of all images here, so that rows are images times draws."""


def main() -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--threads", type=int)
    help_cell = "what the stages of a cell take, for DVC's share (default: %(default)s, quick on 2 cores)"
    parser.add_argument("--cell-seconds", type=float, default=scaling_dvc.CELL_SECONDS, help=help_cell)
    args = parser.parse_args()
    start, compute = time.monotonic(), params.load()[0].compute
    setting = paper_setting(compute.model_copy(update={"num_threads": args.threads or compute.num_threads}))
    fixed = [*FIXED, f"compute.num_threads={setting.runtime.num_threads}", f"compute.device={setting.device.type}"]
    with tempfile.TemporaryDirectory(prefix="ldmiss-scaling-") as folder:
        series = measure(make_project(Path(folder)), AXES, args.rounds, fixed)
    of_dvc, notes = scaling_dvc.measure(args.rounds, args.cell_seconds)
    record = {
        "machine": report.machine(setting), "seconds": round(time.monotonic() - start),
        "series": [*series, *of_dvc], "notes": notes,
    }  # fmt: skip
    path = report.folder(setting)
    save_json(path / "scaling.json", record)
    save_text(path / "scaling.md", "# How cost grows\n\n" + scaling_report.markdown(record))
    scaling_report.draw(record, path / "scaling.png")
    pages.write()
    print(f"{record['seconds']} s -> {path}")
    return 0


def measure(project: Path, axes: list[Axis], rounds: int, fixed: list[str]) -> list[scaling_report.Series]:
    """A series of seconds and one of memory for each axis: the least of each point over the rounds.

    `fixed` are the choices of params that all points share.
    """
    run_point(project, "prepare", fixed)
    points: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for _ in range(rounds):
        for number, axis in enumerate(axes):
            for value in axis.values:
                found = run_point(project, axis.stage, [*fixed, *axis.overrides(value)])
                print(f"{found[0]:8.2f} s {found[1]:6.0f} MB  {axis.what}, {value} {axis.against}", flush=True)
                points.setdefault((number, value), []).append(found)
    return [one for number, axis in enumerate(axes) for one in _series(axis, number, points)]


def _series(
    axis: Axis, number: int, points: dict[tuple[int, int], list[tuple[float, float]]]
) -> Iterator[scaling_report.Series]:
    for index, (quantity, expected) in enumerate({"seconds": LINEAR, "MB": CONSTANT_MEMORY}.items()):
        y = [min(found[index] for found in points[number, value]) for value in axis.values]
        yield {
            "what": axis.what, "against": axis.against, "quantity": quantity, "x": list(axis.values), "y": y,
            "fit_from": axis.fit_from, "expected": list(expected),
        }  # fmt: skip


def run_point(project: Path, what: str, overrides: list[str]) -> tuple[float, float]:
    """Seconds, and peak megabytes of the process (on a GPU: of its memory); (0, peak) for `prepare`."""
    (project / "params.yaml").write_text(composed(overrides))
    environment = {**os.environ, "PYTHONPATH": f"{project / 'src'}{os.pathsep}{project}"}
    command = [sys.executable, "-m", "benchmarks.scaling_point", what]
    _, megabytes, lines = usage(command, project, environment)
    record: dict[str, Any] = json.loads((project / "runs/records.jsonl").read_text().splitlines()[-1])
    return 0.0 if what == "prepare" else float(lines[-1]), record.get("peak_gpu_memory_mb", megabytes)


if __name__ == "__main__":
    sys.exit(main())
