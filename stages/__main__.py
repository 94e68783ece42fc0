"""Run one item of one stage: `python -m stages NAME [--missing-rate R --seed S] [--method M]`.

Validates the whole params document first, hands the stage its context, turns bad input into one line and an exit
status of 1, and appends what the run took to `runs/`.
"""

import argparse
import errno
import importlib
import json
import os
import platform
import resource
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from ldmiss.errors import InputError
from stages import params as params_module
from stages.context import Context
from stages.paths import RUNS, Item
from stages.table import METHODS, STAGES
from stages.work import declared_work

RECORDED_PACKAGES = ["torch", "numpy", "scipy", "torch-fidelity", "dvc"]


def main(arguments: list[str] | None = None) -> int:
    """Run a stage; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m stages", description=__doc__.split("\n")[0])
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--missing-rate", type=float)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--method", choices=list(METHODS))
    args = parser.parse_args(arguments)
    item = Item(args.missing_rate, args.seed, args.method)
    try:
        run_stage(args.stage, item)
    except InputError as error:
        return _fail(args.stage, item, str(error))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return _fail(args.stage, item, f"{error.filename or 'disk'}: no space left; free some and run again")
    except KeyboardInterrupt:
        return _fail(args.stage, item, "interrupted; run again to go on from the last checkpoint", status=130)
    return 0


def run_stage(stage: str, item: Item) -> None:
    """Validate, run, record.

    Raises:
        InputError: bad params or files.
    """
    start = time.monotonic()
    params, document = params_module.load()
    for warning in params.off_grid():
        print(f"warning: {warning}", file=sys.stderr)
    work = declared_work(stage, item, document)
    work.check_inputs()
    context = Context(
        item=item,
        params=params,
        checkpoint_folder=lambda runtime: work.checkpoint_folder(stage, item, runtime),
        method=importlib.import_module(METHODS[item.method]) if item.method else None,
    )
    made = importlib.import_module(f"stages.{stage}").run(context)
    if "checkpoint" in vars(context):
        context.checkpoint.remove()
    _record(stage, item, context.used, made, time.monotonic() - start)


def _record(stage: str, item: Item, used: dict[str, Any], made: str, seconds: float) -> None:
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
    print(f"{_label(stage, item)}: {made}; {seconds:.1f} s, peak memory {peak_mb:.0f} MB", flush=True)
    record = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"), "stage": stage, "item": item.name,
        "seconds": round(seconds, 2), "peak_memory_mb": round(peak_mb), **used, "host": platform.node(),
        "python": platform.python_version(), "versions": {name: version(name) for name in RECORDED_PACKAGES},
    }  # fmt: skip
    RUNS.mkdir(exist_ok=True)
    with (RUNS / "records.jsonl").open("a") as file:
        file.write(json.dumps(record) + "\n")


def _fail(stage: str, item: Item, message: str, status: int = 1) -> int:
    print(f"error: {_label(stage, item)}: {message}", file=sys.stderr)
    if os.environ.get("LDMISS_TRACEBACK"):
        raise
    return status


def _label(stage: str, item: Item) -> str:
    return f"{stage}@{item.name}" if item.name else stage


if __name__ == "__main__":
    sys.exit(main())
