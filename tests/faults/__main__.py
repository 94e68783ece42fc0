"""Try every fault and print the table: `make test-faults`, `python -m faults [--only NAME] [--tries N] [--write FILE]`.

Exit status 1 where anything was lost or wrong; the folders of those tries are kept. Progress goes to standard error.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from typing import Any

from faults.catalogue import CLONE_FAULTS, STAGE_FAULTS, Fault
from faults.clones import Clones
from faults.forked import import_everything
from faults.outcome import Row, markdown
from faults.world import World, clean_project

BEGIN, END = "<!-- faults: written by make test-faults -->", "<!-- faults: end -->"
_MOUNTS = "LDMISS_FAULTS_MOUNTS"


def main() -> int:
    """Run what the command line asks for; the exit status."""
    names = [fault.name for fault in (*STAGE_FAULTS, *CLONE_FAULTS)]
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__.split("\n")[0])
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=f"one of: {', '.join(names)}")
    parser.add_argument("--tries", type=int, help="so many tries of each fault")
    parser.add_argument("--seed", type=int, default=0, help="of the places and moments drawn")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table between the markers of a file, too")
    args = parser.parse_args()
    if args.write is not None and BEGIN not in args.write.read_text():
        parser.error(f"{args.write} has no line {BEGIN}")
    _keep_mounts_apart()
    start = time.monotonic()
    on_stages, on_clones = (
        [fault for fault in faults if args.only is None or fault.name in args.only]
        for faults in (STAGE_FAULTS, CLONE_FAULTS)
    )
    folder = Path(mkdtemp(prefix="faults-"))
    rows = run_on_stages(folder, on_stages, args.tries, args.seed)
    rows += run_on_clones(folder, on_clones, args.tries, args.seed)
    table = f"{markdown(rows)}\n\n{_when(time.monotonic() - start, args.seed)}"
    print(table)
    if args.write is not None:
        replaced = re.sub(f"{BEGIN}.*{END}", lambda _: f"{BEGIN}\n{table}\n{END}", args.write.read_text(), flags=re.S)
        args.write.write_text(replaced)
    lost = any(row.lost for row in rows)
    if not lost:
        shutil.rmtree(folder)
    return int(lost)


def run_on_stages(folder: Path, faults: list[Fault], tries: int | None, seed: int) -> list[Row]:
    """The faults tried on a tiny project."""
    if not faults:
        return []
    import_everything()
    world = World(folder, clean_project(folder / "clean"))
    return [run(fault, world, tries, seed) for fault in faults]


def run_on_clones(folder: Path, faults: list[Fault], tries: int | None, seed: int) -> list[Row]:
    """The faults tried on clones, two at a time."""
    if not faults:
        return []
    clones = Clones(folder / "clones")
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda fault: run(fault, clones, tries, seed), faults))


def run(fault: Fault, place: Any, tries: int | None, seed: int) -> Row:
    """All tries of one fault."""
    row = Row(fault.words)
    start = time.monotonic()
    for outcome in fault.run(place, tries or fault.tries, Random(f"{seed} {fault.name}")):
        row.outcomes.append(outcome)
        if outcome.problem is not None:
            print(f"LOST {outcome.problem}", file=sys.stderr, flush=True)
    seconds = time.monotonic() - start
    print(f"{fault.name}: {' | '.join(row.cells()[1:])} ({seconds:.0f} s)", file=sys.stderr, flush=True)
    return row


def _keep_mounts_apart() -> None:
    """Run again where what is mounted is seen by these processes alone, and goes when they end, however they do.

    There a user who is not root may mount, too, if the system lets users have such name spaces.
    """
    command = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    if _MOUNTS in os.environ or shutil.which("unshare") is None:
        return
    if subprocess.run([*command, "true"], check=False, capture_output=True).returncode == 0:
        os.execvpe("unshare", [*command, sys.executable, *sys.orig_argv[1:]], {**os.environ, _MOUNTS: "1"})


def _when(seconds: float, seed: int) -> str:
    return f"{date.today().isoformat()}, {seconds / 60:.0f} minutes on {os.cpu_count()} cores, seed {seed}."


if __name__ == "__main__":
    sys.exit(main())
