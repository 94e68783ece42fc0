"""Run the test bed: `make test-cluster`, `python -m cluster [--engine NAME ...] [--fault NAME ...] [--write FILE]`.

The real 3 x 2 grid on Slurm and on Ray with two nodes each, one of its cells with object storage that speaks S3; then
every fault on every engine, on toy cells. Exit status 1 where anything is lost, wrong or missing: a scheduler that
cannot be started is a failure. The folders of what failed are kept.
"""

import argparse
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from benchmarks.page import write_table
from cluster import grids, table
from cluster.beds import BEDS, LocalBed
from cluster.faults import FAULTS, Fault, Outcome, try_fault
from cluster.processes import NotHere, kill, naming
from cluster.projects import REAL_GRID, TOY_GRID, Project

COMMAND = "make test-cluster"
Rows = dict[tuple[str, str], list[Outcome]]


def main() -> int:
    """Run what the command line asks for; the exit status."""
    names = [fault.name for fault in FAULTS]
    parser = argparse.ArgumentParser(prog="python -m cluster", description=__doc__.split("\n")[0])
    parser.add_argument("--engine", action="append", choices=list(BEDS), help="one alone (default: all)")
    parser.add_argument("--fault", action="append", choices=[*names, "none"], metavar="NAME", help="one alone")
    parser.add_argument("--no-grid", dest="grid", action="store_false", help="faults alone")
    parser.add_argument("--tries", type=int, default=1, help="of each fault (default: 1)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the tables between the markers of a file, too")
    args = parser.parse_args()
    start, engines = time.monotonic(), args.engine or list(BEDS)
    folder = Path(mkdtemp(prefix="ldmiss-cluster-"))
    beds: dict[str, Any] = {}
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: _leave(beds, folder, 128 + number))
    try:
        for name in engines:
            beds[name] = BEDS[name]()
            print(f"{name}: ready after {time.monotonic() - start:.0f} s", flush=True)
        found = run_grids(folder / "real", beds) if args.grid else []
        faults = [fault for fault in FAULTS if args.fault is None or fault.name in args.fault]
        rows = run_faults(folder / "toy", beds, faults, args.tries) if faults else {}
    except (NotHere, AssertionError, TimeoutError) as error:
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    finally:
        for bed in beds.values():
            bed.close()
    texts = {"cluster": table.of_grids(found) if found else "", "cluster-faults": table.of_faults(rows) if rows else ""}
    when = (
        f"{date.today().isoformat()}, {(time.monotonic() - start) / 60:.0f} minutes in all on {os.cpu_count()} cores."
    )
    for name, text in texts.items():
        if text:
            print(f"\n{text}\n\n{when}")
            if args.write is not None:
                write_table(args.write, name, COMMAND, f"{text}\n\n{when}")
    wrong = any(outcome.wrong for outcomes in rows.values() for outcome in outcomes)
    if not wrong:
        shutil.rmtree(folder)
    return int(wrong)


def _leave(beds: dict[str, Any], folder: Path, status: int) -> None:
    """Stop the schedulers and the coordinators and go, whatever the threads are at."""
    for bed in beds.values():
        bed.close()
    kill(naming(folder))
    os._exit(status)


def run_grids(folder: Path, beds: dict[str, Any]) -> list[dict[str, object]]:
    """The plain run, then the real grid on each engine that has nodes, and a cell on S3."""
    project = Project(folder, REAL_GRID, toy=False)
    start = time.monotonic()
    project.run_plain()
    print(f"plain dvc repro: {time.monotonic() - start:.0f} s", flush=True)
    calls: Sequence[Callable[[], dict[str, object]]] = [
        *(lambda bed=bed: grids.on_engine(bed, project) for bed in beds.values() if bed.nodes),
        lambda: grids.on_s3(project, LocalBed()),
    ]  # fmt: skip
    return [call() for call in calls]


def run_faults(folder: Path, beds: dict[str, Any], faults: list[Fault], tries: int) -> Rows:
    """Every fault on every engine that can have it; the engines at the same time."""
    project = Project(folder, TOY_GRID, toy=True)
    project.run_plain()

    def on_engine(bed: Any) -> dict[str, list[Outcome]]:
        found = {}
        for fault in faults:
            if bed.name in fault.engines:
                found[fault.words] = [try_fault(fault, bed, project) for _ in range(tries)]
                for outcome in found[fault.words]:
                    print(f"{bed.name}, {fault.name}: {outcome}", file=sys.stderr, flush=True)
        return found

    with ThreadPoolExecutor() as pool:
        by_engine = dict(zip(beds, pool.map(on_engine, beds.values()), strict=True))
    return {
        (fault.words, name): found[fault.words]
        for fault in faults for name, found in by_engine.items() if fault.words in found
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
