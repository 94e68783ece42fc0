"""`make verify-determinism`: is the same commit the same result? Runs the pipeline in separate clones and compares.

Two clones with caches of their own, one by `dvc repro`, the other as `make repro` does it with two stages at a time,
must end with the same `dvc.lock` (the hash of every model, sample, metric, table and figure) and the same
`metrics/summary.json`, byte for byte. A third clone computes with another number of threads: there the order of sums
differs, and with it the last bits of every weight; how far the metrics move is shown, and must stay within
`TOLERANCES`.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import page
from benchmarks.page import ROOT, write_table
from ldmiss_pipeline.artifacts.json_files import save_json
from ldmiss_pipeline.compute.device import processor
from ldmiss_pipeline.config.params import PARAMS_FILE
from ldmiss_pipeline.running.lockfile import LOCK_FILE, load_lock, recorded_hashes

RESULTS = page.RESULTS / "determinism.json"
PAGE = ROOT / "docs/reliability.md"
COMMAND = "make verify-determinism"
TOLERANCES = {"mse": 0.1, "crps": 0.1, "accuracy": 0.02}
"""Largest relative change of a metric of our imputers between two numbers of threads, by metric.

Training amplifies the last bits: what it ends with is another member of the same ensemble, as with another seed, most
of all where a network is far from converged, as the quick profile's pixel networks are. (With the same weights the
outputs agree to rounding: `tests/pipeline/compute/test_threads.py`.) FIDs of a few hundred images move more and are
not judged."""


def main() -> int:
    """Run, compare, write the table; exit status 1 where two runs differ, or a tolerance is exceeded."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.determinism", description=__doc__.split("\n")[0])
    parser.add_argument("--profile", default="quick", help="of conf/profile (default: quick, what make repro runs)")
    parser.add_argument("--threads", type=int, default=2, help="of the third clone; 0: no third clone")
    parser.add_argument("--folder", type=Path, help="where the clones go and stay (default: removed at the end)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ldmiss-determinism-") as temporary:
        folder = (args.folder or Path(temporary)).resolve()
        commit = head()
        overrides = [f"profile={args.profile}"]
        first = run_clone(folder / "first", commit, overrides)
        second = run_clone(
            folder / "second", commit, overrides, [sys.executable, "-m", "ldmiss_pipeline", "repro", "--jobs", "2"]
        )
        result = {"profile": args.profile, "machine": processor(), "python": platform.python_version()}
        result |= compare_bits(first, second)
        if args.threads:
            other = run_clone(folder / "other", commit, [*overrides, f"compute.num_threads={args.threads}"])
            result["threads"] = {"num_threads": args.threads, "changes": compare_metrics(first, other)}
    save_json(RESULTS, result)
    table = as_markdown(result)
    print(table)
    write_table(PAGE, "determinism", COMMAND, table)
    within = all(row["within"] for row in result.get("threads", {}).get("changes", []))
    return 0 if within and not result["different"] else 1


def head() -> str:
    """The commit to run: taken once, so that a commit made meanwhile cannot come into a later clone."""
    command = ["git", "rev-parse", "HEAD"]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603 - ours


def run_clone(folder: Path, commit: str, overrides: list[str], command: Sequence[str] = ("dvc", "repro")) -> Path:
    """A clone in which the pipeline of this commit ran with these overrides, with caches of its own."""
    print(f"running {' '.join(overrides)} in a clone", flush=True)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "DVC_SITE_CACHE_DIR": f"{folder}-site", "DVC_NO_ANALYTICS": "1"}
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)  # noqa: S603, S607 - our own command
    subprocess.run(["git", "checkout", "--quiet", "--detach", commit], cwd=folder, check=True)  # noqa: S603, S607 - ours
    for step in ([sys.executable, "-m", "ldmiss_pipeline", "compose", *overrides], command):
        with (folder / "run.log").open("a") as log:
            subprocess.run(step, cwd=folder, env=environment, stdout=log, stderr=log, check=True)  # noqa: S603 - ours
    return folder


def compare_bits(first: Path, second: Path) -> dict[str, Any]:
    """Number of outs compared, and those that differ (the files themselves included, not just their parsed form)."""
    outs = [
        {(label, path): md5 for label, entry in load_lock(folder / LOCK_FILE).items()
         for path, md5 in recorded_hashes(entry).items()}
        for folder in (first, second)
    ]  # fmt: skip
    different = sorted({f"{label}: {path}" for label, path in outs[0].keys() | outs[1].keys()
                        if outs[0].get((label, path)) != outs[1].get((label, path))})  # fmt: skip
    for name in (LOCK_FILE, Path("metrics/summary.json"), PARAMS_FILE):
        if (first / name).read_bytes() != (second / name).read_bytes():
            different.append(str(name))
    return {"num_outs": len(outs[0]), "different": different}


def imputation_metrics(folder: Path) -> dict[str, dict[str, float]]:
    """The metrics of each imputer, averaged over the cells."""
    summary: dict[str, dict[str, dict[str, float]]] = json.loads((folder / "metrics/summary.json").read_text())
    return summary["imputation"]


def compare_metrics(first: Path, other: Path) -> list[dict[str, Any]]:
    """The largest relative change of each metric that has a tolerance, with its imputer."""
    before, after = imputation_metrics(first), imputation_metrics(other)
    rows = []
    for metric, tolerance in TOLERANCES.items():
        changes = {
            name: abs(after[name][metric] / values[metric] - 1) for name, values in before.items() if metric in values
        }
        largest = max(changes, key=lambda imputer: changes[imputer])
        rows.append({
            "metric": metric, "imputer": largest,
            "before": before[largest][metric], "after": after[largest][metric],
            "change": changes[largest], "tolerance": tolerance, "within": changes[largest] <= tolerance,
        })  # fmt: skip
    return rows


def as_markdown(result: dict[str, Any]) -> str:
    """The table for docs/reliability.md."""
    lines = [
        f"Profile `{result['profile']}` on {result['machine']}, Python {result['python']}.", "",
        "| compared | outs | different |", "|---|---|---|",
        "| two clones of one commit, one and two stages at a time, bit for bit (`dvc.lock`, `metrics/summary.json`) | "
        f"{result['num_outs']} | "
        f"{'; '.join(result['different']) or '0'} |",
    ]  # fmt: skip
    if "threads" in result:
        number = result["threads"]["num_threads"]
        lines += [
            "", f"| metric, largest change with {number} thread(s) | imputer | before | after | change | tolerance |",
            "|---|---|---|---|---|---|",
        ]  # fmt: skip
        lines += [
            f"| {row['metric']} | {row['imputer']} | {row['before']:.5f} | {row['after']:.5f} | {row['change']:.1%} | "
            f"{row['tolerance']:.0%}{'' if row['within'] else ' **exceeded**'} |"
            for row in result["threads"]["changes"]
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
