"""`dvc repro` with several stages at a time: `python -m ldmiss_pipeline repro [--jobs N] [TARGET ...]`.

DVC runs one stage after another (its issue 755). Small networks cannot use all cores: two stages of the quick profile
side by side, one thread each, end 1.4 times as early as one after another with two threads.

Ctrl-C and SIGTERM are passed on to the stages, which save a checkpoint and leave, but not to DVC, which may be writing
dvc.lock. If this process is killed, its stages go on, and the next call waits for them.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal

from tqdm import tqdm

from ldmiss.errors import InputError
from ldmiss_pipeline.compute.cores import num_cores
from ldmiss_pipeline.config import params as params_module
from ldmiss_pipeline.running.disk import warn_of_little_space
from ldmiss_pipeline.running.graph import Graph
from ldmiss_pipeline.running.locks import dvcs_at_work
from ldmiss_pipeline.running.pipeline import Pipeline
from ldmiss_pipeline.running.reproduction import DVC, RETRY_SECONDS, Ended, Reproduction


def changed() -> list[str]:
    """Labels of the stages that `dvc status` finds changed themselves; those that wait for them are not among them.

    Raises:
        InputError: DVC cannot read the project.
    """
    retried = said = False
    while True:
        done = subprocess.run(  # noqa: S603 - DVC
            [*DVC, "status", "--json"], check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        if done.returncode == 0:
            return list(json.loads(done.stdout))
        pids = dvcs_at_work(reads=[Path()])
        if not pids and retried:
            raise InputError(f"dvc status: {done.stderr.strip()}")
        if pids and not said:
            print(
                f"dvc status: waits; another DVC is at work there (PID {', '.join(pids)})", file=sys.stderr, flush=True
            )
        retried, said = not pids, said or bool(pids)  # what DVC was refused for may have ended since
        time.sleep(RETRY_SECONDS)


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
        pipeline = Pipeline(document)
        graph = Graph(pipeline)
        wanted = graph.upstream(args.targets or graph.before)
        warn_of_little_space(params.profile, len(pipeline.cells()))
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
