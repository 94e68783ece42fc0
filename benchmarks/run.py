"""`make bench`: every row of `benchmarks.table`, to `benchmarks/results/<device>/`.

    python -m benchmarks.run [--only ROW ...] [--rounds N] [--threads N] [--device auto|cpu|cuda]

Rows that were not asked for keep their last results.
"""

import argparse
import gc
import os
import sys
import time
from datetime import UTC, datetime
from typing import Any

import torch

from benchmarks import pages, report
from benchmarks.setting import Setting, setting_of, sizes_record
from benchmarks.table import ROWS, Row
from benchmarks.timing import measure
from ldmiss.errors import InputError
from ldmiss_pipeline.artifacts.json_files import save_json

NUM_ROUNDS = 7


def main(arguments: list[str]) -> int:
    """All rows that were asked for; 1 where one failed."""
    options = _parse(arguments)
    try:
        setting = setting_of("paper", device=options.device, num_threads=options.threads or "auto")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if not torch.cuda.is_available():
        print("no CUDA device: CPU rows only")
    start, path = time.monotonic(), report.folder(setting) / "bench.json"
    record = report.load(path) | {"machine": report.machine(setting), "sizes": sizes_record(setting.sizes)}
    failed = False
    for row in [row for row in ROWS if not options.only or row.name in options.only]:
        found = _measure(row, setting, options.rounds) | {"machine": record["machine"]}
        failed |= "error" in found
        print("\n".join(report.lines(found)), flush=True)
        rows = {**record["rows"], row.name: found}
        record["rows"] = {known.name: rows[known.name] for known in ROWS if known.name in rows}
        save_json(path, record)
        _free_memory()
    pages.write()
    print(f"{(time.monotonic() - start) / 60:.1f} minutes -> {path}")
    return int(failed)


def _measure(row: Row, setting: Setting, rounds: int) -> dict[str, Any]:
    header = {"title": row.title, "date": datetime.now(UTC).isoformat(timespec="seconds")}
    print(f"\n{row.title} ({row.name})", flush=True)
    if (reason := row.left_out(setting.device.type)) is not None:
        return {**header, "left_out": reason}
    start, load = time.perf_counter(), os.getloadavg()[0]
    try:
        measured = measure(row.make(setting), rounds=rounds, device=setting.device)
    except Exception as error:  # one row that fails must not take the others' results along
        return {**header, "error": f"{type(error).__name__}: {error}"}
    seconds = round(time.perf_counter() - start, 1)
    return {**header, "seconds": seconds, "load_before": load, **measured}


def _free_memory() -> None:
    """The networks of a row are not kept while the next one is measured."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description="Ours against named peers.")
    names = [row.name for row in ROWS]
    parser.add_argument("--only", nargs="+", choices=names, metavar="ROW", help=f"of {', '.join(names)}")
    parser.add_argument("--rounds", type=int, default=NUM_ROUNDS)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
