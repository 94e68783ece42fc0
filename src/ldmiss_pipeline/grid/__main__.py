"""Run the grid of params.yaml on an engine: `python -m ldmiss_pipeline grid COMMAND` (docs/scaling.md).

plan     what is left, and what it takes as far as earlier grids recorded it
run      the cells that are left, each in a job of its own; waits, and shows how they are
status   how they are
collect  the results: DVC's final run here, figures, commit of dvc.lock
cancel   ask all jobs to leave
"""

import argparse
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ldmiss.errors import InputError
from ldmiss_pipeline.config import params as params_module
from ldmiss_pipeline.grid import checks
from ldmiss_pipeline.grid.cells import Cells
from ldmiss_pipeline.grid.collect import collect
from ldmiss_pipeline.grid.coordinator import drive, states_of
from ldmiss_pipeline.grid.engines.interface import Resources
from ldmiss_pipeline.grid.engines.local import visible_gpus
from ldmiss_pipeline.grid.engines.registry import ENGINES, make_engine
from ldmiss_pipeline.grid.plan import Plan
from ldmiss_pipeline.grid.remote import remote_config, save_remote, secrets
from ldmiss_pipeline.grid.shared import run_shared
from ldmiss_pipeline.grid.state import GridRun, all_runs, load_run, only_coordinator, prepare, run_name
from ldmiss_pipeline.grid.status import table
from ldmiss_pipeline.running.disk import warn_of_little_space
from ldmiss_pipeline.running.repro import default_jobs


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says; the exit status."""
    args = _parser().parse_args(arguments)
    try:
        return int(args.function(args))
    except InputError as error:
        print(f"error: grid {args.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; `run` again goes on. On this host workers leave, too; elsewhere jobs go on until `cancel`")
        return 130


def _plan(args: argparse.Namespace) -> int:
    params, document = params_module.load()
    name, _ = remote_config(args.remote)
    chosen = Cells(document).chosen(args.cells)
    wanted = GridRun("", "", "", name, args.engine, asdict(_resources(args, params)), 1, chosen)
    jobs = args.jobs or _default_jobs(wanted)
    planned = Plan(document, chosen, load_run(run_name(checks.head(), document)))
    print(planned.text(jobs=jobs, gpus=wanted.resources["gpus"] > 0))
    warn_of_little_space(params.profile, sum(bool(left) for left in planned.left.values()))
    return 0


def _run(args: argparse.Namespace) -> int:
    run, settings = _prepared(args)
    engine = make_engine(run)
    engine.check()
    params, document = params_module.load()
    jobs = args.jobs or _default_jobs(run)
    warn_of_little_space(params.profile, len(run.cells))
    with only_coordinator(run):
        _take_over(run, document)  # again: another coordinator may have submitted meanwhile
        prepare(run, params_module.PARAMS_FILE.read_text())
        save_remote(run.carried / "remote", run.remote, settings)
        run.save()
        run.cancelled.unlink(missing_ok=True)
        run_shared(Cells(document).shared(), run.remote, secrets(settings))
        bad = drive(run, engine, jobs=jobs, retries=args.retries, detach=args.detach)
    if args.detach:
        return 0
    print(table(run, states_of(run, engine)))
    return 1 if bad else 0


def _prepared(args: argparse.Namespace) -> tuple[GridRun, dict[str, Any]]:
    """The run that the command line asks for, begun or not, and the remote's settings; nothing is written yet.

    Raises:
        InputError: for everything that can be told before an engine is asked.
    """
    params, document = params_module.load()
    cells = Cells(document)
    chosen = cells.chosen(args.cells)
    name, settings = remote_config(args.remote)
    commit = checks.head()
    checks.refuse_dirty()
    origin = args.origin or _default_origin(args.engine)
    checks.refuse_password(origin)
    checks.refuse_unpushed(commit, origin)
    run = GridRun(
        run_name(commit, document), commit, origin, name, args.engine, asdict(_resources(args, params)), 1, chosen
    )
    checks.refuse_other_runs(run.name)
    _take_over(run, document)
    run.stage_jobs = args.stage_jobs
    return run, settings


def _take_over(run: GridRun, document: dict[str, Any]) -> None:
    """Add the cells and tries of the run as far as it has begun.

    Raises:
        InputError: its jobs are at work on another engine.
    """
    begun = load_run(run.name)
    if begun is None:
        return
    if begun.engine != run.engine and checks.at_work(begun):
        raise InputError(f"--engine {run.engine}: jobs of this grid are on {begun.engine}; cancel them first")
    run.tries = begun.tries
    run.cells = [cell for cell in Cells(document).names if cell in {*run.cells, *begun.cells}]


def _status(args: argparse.Namespace) -> int:
    run = _current()
    print(table(run, _states(run)))
    return 0


def _collect(args: argparse.Namespace) -> int:
    _, document = params_module.load()
    run = _current()
    if run.name not in (run_name(run.commit, document),):
        raise InputError(f"params.yaml: other than those of grid {run.name}; put back {run.carried / 'params.yaml'}")
    states = _states(run)
    missing = [cell for cell in Cells(document).names if states.get(cell) != "done"]
    hidden = secrets(remote_config(run.remote)[1])
    print(collect(run, missing, hidden, partial=args.partial, commit=args.commit))
    return 0


def _cancel(args: argparse.Namespace) -> int:
    for run in all_runs():
        run.cancelled.touch()  # else the coordinator would try again what was asked to leave
        jobs = run.jobs()
        engine = make_engine(run)
        active = engine.active(set(jobs.values()))
        engine.cancel(active)
        (run.carried / "remote").unlink(missing_ok=True)
        print(f"grid {run.name}: {len(active)} jobs were asked to leave")
    return 0


def _current() -> GridRun:
    """The run of the params as they are, else the latest."""
    _, document = params_module.load()
    if not (runs := all_runs()):
        raise InputError("no grid has been run here; `python -m ldmiss_pipeline grid run`")
    return next((run for run in reversed(runs) if run.name == run_name(run.commit, document)), runs[-1])


def _states(run: GridRun) -> dict[str, str]:
    return states_of(run, make_engine(run))


def _resources(args: argparse.Namespace, params: Any) -> Resources:
    gpus = args.gpus_per_cell
    if gpus is None:
        here = bool(visible_gpus()) if args.engine == "local" else True
        gpus = 1.0 if here and params.compute.device != "cpu" else 0.0
    return Resources(gpus, args.time, args.slurm_partition, args.ray_address)


def _default_jobs(run: GridRun) -> int:
    """As many as the host has room for on `local`; elsewhere all, for the scheduler to queue."""
    if run.engine != "local":
        return len(run.cells)
    if run.resources["gpus"]:
        return max(1, int(len(visible_gpus()) / run.resources["gpus"]))
    return default_jobs(params_module.load()[0].compute.num_threads)


def _default_origin(engine: str) -> str:
    """This copy, which workers on this host or on a shared file system can clone; on Ray what it was cloned from."""
    if engine != "ray":
        return str(Path.cwd())
    found = subprocess.run(["git", "remote", "get-url", "origin"], check=False, capture_output=True, text=True)  # noqa: S607
    if found.returncode != 0:
        raise InputError("--origin: none given, and git has no remote `origin`; name what workers can clone")
    return found.stdout.strip()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ldmiss_pipeline grid", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)

    def add(name: str, function: Any, words: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=words)
        command.set_defaults(function=function)
        return command

    for name, function, words in (("plan", _plan, "what is left"), ("run", _run, "run the cells that are left")):
        run = add(name, function, words)
        run.add_argument("--cells", nargs="+", metavar="RATE-SEED", help="of the grid (default: all)")
        run.add_argument("--engine", choices=list(ENGINES), default="local")
        run.add_argument("--jobs", type=int, metavar="N", help="cells at the same time (default: what fits, or all)")
        run.add_argument("--gpus-per-cell", type=float, metavar="F", help="0.5: two share a GPU (default: 1, if any)")
        run.add_argument("--remote", metavar="NAME", help="of DVC (default: its default)")
        run.add_argument("--time", type=int, metavar="MINUTES", help="limit of a job")
        run.add_argument("--slurm-partition", metavar="NAME")
        run.add_argument("--ray-address", metavar="URL", help="of the dashboard, http://HEAD:8265")
        run.add_argument(
            "--stage-jobs", type=int, default=1, metavar="N", help="stages of a cell at a time (default: 1)"
        )
        run.add_argument("--retries", type=int, default=2, metavar="K", help="further tries of a cell (default: 2)")
        run.add_argument("--origin", metavar="URL", help="or path that workers clone (default: this copy)")
        run.add_argument("--detach", action="store_true", help="return when all is submitted")
    add("status", _status, "how the cells are")
    bring = add("collect", _collect, "bring the results home")
    bring.add_argument("--partial", action="store_true", help="those of the cells that are done")
    bring.add_argument("--no-commit", dest="commit", action="store_false")
    add("cancel", _cancel, "ask all jobs to leave")
    return parser


if __name__ == "__main__":
    sys.exit(main())
