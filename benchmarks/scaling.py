"""How time and memory grow: `python -m benchmarks.scaling`, a few minutes on two cores.

Sampling and guided imputation by LDMiss against images, steps and draws, each point in a process of its own
(`benchmarks.scaling_point`); of each point the least over whole rounds counts. Writes
`benchmarks/results/<device>/scaling.json` and the table in docs/performance.md.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks import pages, report, scaling_report
from benchmarks.page import ROOT
from benchmarks.scaling_point import CHUNK_SIZES
from benchmarks.setting import setting_of
from ldmiss_pipeline.artifacts.json_files import save_json

ROUNDS = 3
LINEAR, CONSTANT_MEMORY = (0.9, 1.1), (-0.05, 0.05)
"""Slopes that count as 1 and as 0."""
SAMPLING, IMPUTATION = CHUNK_SIZES


@dataclass(frozen=True)
class Axis:
    """A series of points.

    Attributes:
        task: of `benchmarks.scaling_point`.
        against: the argument that varies.
        values: of it.
        fit_from: the value from which on the slope counts.
        fixed: the other arguments.
    """

    task: str
    against: str
    values: tuple[int, ...]
    fit_from: int
    fixed: dict[str, int]


AXES = [
    Axis(SAMPLING, "images", (50, 100, 200, 800), CHUNK_SIZES[SAMPLING], {"steps": 10}),
    Axis(SAMPLING, "steps", (10, 30, 90), 10, {"images": CHUNK_SIZES[SAMPLING]}),
    Axis(IMPUTATION, "images", (12, 25, 50, 200), CHUNK_SIZES[IMPUTATION], {"steps": 5}),
    Axis(IMPUTATION, "steps", (5, 15, 45), 5, {"images": CHUNK_SIZES[IMPUTATION]}),
    Axis(IMPUTATION, "draws", (1, 3, 9), 1, {"images": CHUNK_SIZES[IMPUTATION], "steps": 5}),
]

Point = tuple[float, float]
"""Seconds and megabytes."""


def main() -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--threads", default="auto")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    args = parser.parse_args()
    start, setting = time.monotonic(), setting_of("quick", device=args.device, num_threads=args.threads)
    where = ["--device", setting.device.type, "--threads", str(setting.runtime.num_threads)]
    series = measure(AXES, args.rounds, where)
    record = {"machine": report.machine(setting), "seconds": round(time.monotonic() - start), "series": series}
    path = report.folder(setting)
    save_json(path / "scaling.json", record)
    pages.write()
    print(f"{record['seconds']} s -> {path}")
    return 0


def measure(axes: list[Axis], rounds: int, where: list[str]) -> list[scaling_report.Series]:
    """A series of seconds and one of memory for each axis: the least of each point over the rounds.

    `where` are the arguments that all points share.
    """
    points: dict[tuple[int, int], list[Point]] = {}
    for _ in range(rounds):
        for number, axis in enumerate(axes):
            for value in axis.values:
                sizes = {**axis.fixed, axis.against: value}
                found = run_point(axis.task, sizes, where)
                print(f"{found[0]:8.2f} s {found[1]:6.0f} MB  {axis.task}, {value} {axis.against}", flush=True)
                points.setdefault((number, value), []).append(found)
    return [one for number, axis in enumerate(axes) for one in _series(axis, number, points)]


def _series(axis: Axis, number: int, points: dict[tuple[int, int], list[Point]]) -> Iterator[scaling_report.Series]:
    for index, (quantity, expected) in enumerate({"seconds": LINEAR, "MB": CONSTANT_MEMORY}.items()):
        y = [min(found[index] for found in points[number, value]) for value in axis.values]
        yield {
            "what": axis.task, "against": axis.against, "quantity": quantity, "x": list(axis.values), "y": y,
            "fit_from": axis.fit_from, "expected": list(expected),
        }  # fmt: skip


def run_point(task: str, sizes: dict[str, int], where: list[str]) -> Point:
    """Seconds and peak megabytes of one point; raises where its process fails."""
    arguments = [part for name, value in sizes.items() for part in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "benchmarks.scaling_point", task, *arguments, *where]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own command
    seconds, megabytes = json.loads(done.stdout.splitlines()[-1])
    return seconds, megabytes


if __name__ == "__main__":
    sys.exit(main())
