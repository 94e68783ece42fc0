"""Run what fits into a slice of GPU time: `python -m stages.slices {prepare,run,plan,merge}` (docs/gpu-slices.md).

prepare  at home: one folder that travels, with params, raw data, what is known and the weights that are needed
run      there: run what fits into --seconds, and carry everything away into --out
plan     at home: what is left to do
merge    at home: results/<name>/ from what was carried away
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from ldmiss.errors import InputError
from stages import params as params_module
from stages.context import Context
from stages.estimate import Estimates
from stages.paths import RAW, Item
from stages.slices import prepare as prepare_module
from stages.slices import workspace
from stages.slices.baggage import unpack_results, unpack_weights
from stages.slices.drive import Budget, Drive
from stages.slices.order import Order
from stages.slices.pieces import Pieces
from stages.slices.publish import publish
from stages.slices.workspace import EARLIER, RESULTS, all_timings
from stages.stop import Stopped
from stages.work import Pipeline


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says; the exit status."""
    args = _parser().parse_args(arguments)
    try:
        print(args.function(args), flush=True)
    except InputError as error:
        print(f"error: slices {args.command}: {error}", file=sys.stderr)
        return 1
    except Stopped as stopped:
        print(f"error: slices {args.command}: stopped by {stopped}; run it again", file=sys.stderr)
        return stopped.status
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m stages.slices", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)

    def add(name: str, function: Any) -> argparse.ArgumentParser:
        command = commands.add_parser(name)
        command.set_defaults(function=function)
        command.add_argument("carried", nargs="*", type=Path, metavar="DIR", help="what slices carried away")
        command.add_argument("--params", type=Path, metavar="FILE", help=f"default: {params_module.PARAMS_FILE}")
        return command

    prepare = add("prepare", _prepare)
    prepare.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder that travels")
    prepare.add_argument("--raw", type=Path, default=RAW, metavar="DIR", help=f"raw data (default: {RAW})")
    run = add("run", _run)
    run.add_argument("--seconds", type=float, required=True, help="of this command")
    run.add_argument("--later", type=float, default=0.0, help="seconds of further commands on this same machine")
    run.add_argument("--out", type=Path, required=True, metavar="DIR", help="what is carried away")
    run.add_argument("--exact", action="store_true", help="no weights that travelled; only parts that can end here")
    run.add_argument("--work", type=Path, default=workspace.ROOT / "runs/slice-work", metavar="DIR")
    add("plan", lambda args: prepare_module.plan(args.carried, _params_file(args)))
    merge = add("merge", lambda args: publish(args.carried, args.out, _params_file(args)))
    merge.add_argument("--out", type=Path, required=True, metavar="DIR", help="like results/paper")
    return parser


def _prepare(args: argparse.Namespace) -> str:
    return prepare_module.prepare(args.carried, args.out, _params_file(args), args.raw)


def _run(args: argparse.Namespace) -> str:
    carried, out = [path.resolve() for path in args.carried], args.out.resolve()
    travelled = next((path / "params.yaml" for path in carried if (path / "params.yaml").is_file()), None)
    params_file = (args.params or travelled or params_module.PARAMS_FILE).resolve()
    params_module.load(params_file)
    out.mkdir(parents=True, exist_ok=True)
    workspace.enter(args.work, params_file, carried)
    return drive_from_here(carried, out, exact=args.exact).run(Budget(args.seconds, args.later))


def drive_from_here(carried: list[Path], out: Path, *, exact: bool) -> Drive:
    """The drive of a workspace, the current directory, with what was carried there.

    Args:
        carried, out: absolute.
        exact: use no weights that travelled, and run only parts that can end on this machine.
    """
    params, document = params_module.load()
    unpack_results(carried, EARLIER)
    if not exact:
        unpack_weights(carried)
    pipeline, pieces = Pipeline(document), Pieces(params, RESULTS, EARLIER)

    def context(item: Item) -> Context:
        return Context(item, params, pipeline.work("evaluate", item))

    runtime = context(pipeline.cells()[0]).runtime
    machine, timings = workspace.machine(), all_timings(EARLIER, RESULTS)
    device, kind = runtime.record()["device"], runtime.device.type
    return Drive(
        Order(pipeline, has_ended=workspace.has_ended, is_measured=pieces.has),
        Estimates(params, timings, device=device, kind=kind, machine=machine), pieces,
        origin={"commit": workspace.commit(carried), "machine": machine}, out=out, exact=exact, contexts=context,
    )  # fmt: skip


def _params_file(args: argparse.Namespace) -> Path:
    path: Path = args.params or params_module.PARAMS_FILE
    return path


if __name__ == "__main__":
    sys.exit(main())
