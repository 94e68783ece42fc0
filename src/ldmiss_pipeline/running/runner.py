"""Run one item of one stage: `python -m stages NAME [--missing-rate R --seed S] [--method M]`.

Validates the whole params document and the inputs first, hands the stage its context, turns bad input into one line
and an exit status of 1, and appends what the run took to `runs/`. For SIGTERM and Ctrl-C see
`ldmiss_pipeline.running.signals`.
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
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from ldmiss.errors import DivergenceError, InputError
from ldmiss.files.atomic import sweep_temporaries
from ldmiss_pipeline.artifacts.paths import RUNS, Item
from ldmiss_pipeline.config import params as params_module
from ldmiss_pipeline.config.registry import METHODS, STAGES
from ldmiss_pipeline.running.context import Context
from ldmiss_pipeline.running.failures import device_failure, device_memory_named
from ldmiss_pipeline.running.finished import mark_finished, remove_recorded
from ldmiss_pipeline.running.lockfile import check_recorded, load_lock, under_dvc
from ldmiss_pipeline.running.locks import only_process
from ldmiss_pipeline.running.pipeline import Pipeline, label_of
from ldmiss_pipeline.running.signals import Stop, Stopped
from ldmiss_pipeline.running.stamps import check_stamps

RECORDED_PACKAGES = ["torch", "numpy", "scipy", "torch-fidelity", "dvc"]
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


def main(arguments: list[str] | None = None) -> int:
    """Run a stage; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m stages", description=__doc__.split("\n")[0])
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--missing-rate", type=_rate)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--method", choices=list(METHODS))
    args = parser.parse_args(arguments)
    item = Item(args.missing_rate, args.seed, args.method)
    label = label_of(args.stage, item)
    stop = Stop()
    with stop.installed():
        try:
            run_stage(args.stage, item, stop)
        except (InputError, DivergenceError) as error:
            return _fail(label, str(error))
        except OSError as error:
            if error.errno not in (*_NO_SPACE, errno.EROFS):
                raise
            advice = "no space left; free some" if error.errno in _NO_SPACE else "cannot be written to; make it so"
            return _fail(label, f"{error.filename or 'disk'}: {advice} and run again")
        except RuntimeError as error:
            message = device_failure(error)
            if message is None:
                raise
            return _fail(label, message)
        except Stopped as stopped:
            message = f"stopped by {stopped}; run again to go on from the last checkpoint"
            return _fail(label, message, status=stopped.status)
    return 0


def _rate(text: str) -> float:
    with suppress(ValueError):
        if 0 <= (rate := float(text)) < 1:  # NaN is not
            return rate
    raise argparse.ArgumentTypeError(f"{text!r} is no number in [0, 1)")


def run_stage(stage: str, item: Item, stop: Stop | None = None) -> dict[str, Any]:
    """Validate, run, record; the record.

    Raises:
        InputError: bad params or files; or the item is being run by another process.
        Stopped: the process was asked to leave.
    """
    start = time.monotonic()
    with only_process(label_of(stage, item)):  # first of all: `repro` sees by it that the stage was begun
        params, document = params_module.load()
        pipeline = Pipeline(document)
        pipeline.check(stage, item)
        stage_item = pipeline.stage_item(stage, item)
        context = Context(item=item, params=params, stage_item=stage_item, stop=stop or Stop())
        for out in stage_item.outs:
            sweep_temporaries(out)
        stage_item.check_inputs()
        producers = pipeline.producers([item] if item.missing_rate is not None else pipeline.cells())
        lock = load_lock()
        if under_dvc():
            check_recorded(stage_item, producers, lock)
        check_stamps(stage_item, producers)
        remove_recorded(lock)
        made = _run(context)
        return _record(context, made, time.monotonic() - start)


def _run(context: Context) -> str:
    """The stage itself; what it says of its work. Its checkpoints stay until DVC has recorded the outs."""
    stage = importlib.import_module(f"stages.{context.stage_item.stage}")
    with device_memory_named(context.stage_item.params, context.used):
        made: str = stage.run(context)
    if "checkpoint" in vars(context):
        checkpoint = context.checkpoint
        context.used["checkpoint_seconds"] = round(checkpoint.seconds_saving, 2)
        context.used["restored"] = checkpoint.restored
        if not under_dvc():
            checkpoint.remove()
        elif checkpoint.folder.exists():
            mark_finished(checkpoint.folder, context.stage_item)
    return made


def _record(context: Context, made: str, seconds: float) -> dict[str, Any]:
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
    print(f"{context.stage_item.label}: {made}; {seconds:.1f} s, peak memory {peak_mb:.0f} MB", flush=True)
    gpu = context.runtime.peak_memory() if "runtime" in vars(context) else {}
    record = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"), "stage": context.stage_item.stage,
        "item": context.item.name, "seconds": round(seconds, 2), "peak_memory_mb": round(peak_mb), **gpu,
        **context.used,
        "host": platform.node(), "python": platform.python_version(),
        "versions": {name: version(name) for name in RECORDED_PACKAGES},
    }  # fmt: skip
    with (RUNS / "records.jsonl").open("a") as file:
        file.write(json.dumps(record) + "\n")
    return record


def _fail(label: str, message: str, status: int = 1) -> int:
    print(f"error: {label}: {message}", file=sys.stderr)
    if os.environ.get("LDMISS_TRACEBACK"):
        raise
    return status


def run_and_leave() -> None:
    """Run the stage that the command line names, and end the process with its status."""
    try:
        status = main()
    except Exception:
        traceback.print_exc()
        status = 1
    if status:  # chunks may be under way in other threads: Python would wait for them
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
