"""Peak memory of every stage at the paper's sizes on a CPU: `python -m benchmarks.memory`, about ten minutes.

Writes `benchmarks/results/memory.json` and the table in docs/reliability.md. Each item runs in a process of its own;
`benchmarks.memory_case` says what is computed and what is cut short. That memory does not depend on the number of steps
is shown by rows with another number. A checkpoint is saved at every safe point, so that its memory counts.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.page import write_table
from ldmiss_pipeline.artifacts.json_files import save_json
from ldmiss_pipeline.config.compose import composed
from ldmiss_pipeline.running.checkpoint import INTERVAL_VARIABLE

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results/memory.json"
PAGE = ROOT / "docs/reliability.md"
COMMAND = "python -m benchmarks.memory"
DTYPES = ("float32", "bfloat16")
LIMIT_MB = 4000
"""What no stage may exceed on a CPU but training, whose batch is what it is: half a batch would be another result."""


@dataclass(frozen=True)
class Case:
    """An item to run, by its arguments for `benchmarks.memory_case`.

    Attributes:
        what: for the table.
        arguments: of the case.
        num_steps: of samplers and imputers.
        overrides: further choices of params.
        at_precision: whether a network runs in it at the precision of the params; otherwise once is enough.
    """

    what: str
    arguments: list[str]
    num_steps: int = 2
    overrides: list[str] = field(default_factory=list)
    at_precision: bool = True


def _impute(method: str, imputer: str, num_steps: int = 2, *, at_precision: bool = True) -> Case:
    arguments = ["impute", "--method", method, "--imputer", imputer]
    what = f"impute 10,000 images, 20 draws of 500: {imputer}"
    return Case(what, arguments, num_steps, at_precision=at_precision)


CASES = [
    Case("mask 60,000 + 10,000 images", ["mask"], at_precision=False),
    Case("train the classifier (committed for MNIST, so not in a run)", ["train_classifier"],
         overrides=["classifier.weights=null"], at_precision=False),
    Case("train the VAE, batch 256", ["train_vae"]),
    Case("encode 60,000 images", ["encode_latents"]),
    Case("train the latent score network, batch 256", ["train_ldm"]),
    Case("train the pixel score network, batch 256", ["train_ddpm"]),
    Case("fit DiffPuter: M-steps with batch 1024, E-step on 60,000 rows", ["train_diffputer"]),
    Case("fit the Gaussian to 60,000 images", ["train_baselines"], at_precision=False),
    *[Case(f"sample 10,000 images: {name}", ["sample", "--method", name]) for name in ("ldmiss", "ddpm", "diffputer")],
    _impute("ldmiss", "ldmiss-guidance"),
    _impute("ddpm", "ddpm-guidance", num_steps=6),
    _impute("ddpm", "ddpm-guidance"),
    _impute("ddpm", "ddpm-replacement"),
    _impute("diffputer", "diffputer-replacement", num_steps=6),
    _impute("diffputer", "diffputer-replacement"),
    _impute("baselines", "autoencoder"),
    *[_impute("baselines", name, at_precision=False) for name in ("mean", "neighbour", "gaussian")],
    Case("evaluate 3 generators and 8 imputers on 10,000 images", ["evaluate"], at_precision=False),
    Case("plot one cell", ["plot"], at_precision=False),
]  # fmt: skip
"""In the order of the pipeline: each finds what the ones before it made, the last of an imputer with two steps."""
KEPT = ("stage", "peak_memory_mb", "chunk_size", "seconds", "cpu", "num_threads", "torch", "python")
NEEDED = ("mask", "train_baselines")
"""Stages without which the networks' cases cannot run."""


def main() -> int:
    """Measure, write the results; exit status 1 where a stage other than training exceeds the limit."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__.split("\n")[0])
    parser.add_argument("--num-threads", default="auto", help="of torch; more threads need more scratch memory")
    parser.add_argument("--dtype", choices=DTYPES, help="only this one; what was measured of the other is kept")
    args = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for dtype in DTYPES:
        rows += measure(dtype, args.num_threads) if args.dtype in (None, dtype) else _measured(dtype)
    save_json(RESULTS, {"limit_mb": LIMIT_MB, "rows": rows})
    write_table(PAGE, "resources", COMMAND, as_markdown(rows))
    return int(any(row["peak_memory_mb"] > LIMIT_MB for row in rows if not row["stage"].startswith("train_")))


def measure(dtype: str, num_threads: str) -> list[dict[str, Any]]:
    """A row for each case that this dtype makes a difference to; for all of them with the first dtype."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="ldmiss-memory-") as folder:
        project = make_project(Path(folder))
        for case in CASES:
            counts = case.at_precision or dtype == DTYPES[0]
            if not counts and case.arguments[0] not in NEEDED:
                continue
            record = run_case(project, case, [f"compute.dtype={dtype}", f"compute.num_threads={num_threads}"])
            print(f"{record['peak_memory_mb']:6d} MB  {dtype:8}  {case.what}", flush=True)
            if counts:
                facts = {key: record[key] for key in KEPT if key in record}
                rows.append({"what": case.what, "num_steps": case.num_steps, "dtype": dtype, **facts})
    return rows


def _measured(dtype: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(RESULTS.read_text())["rows"]
    return [row for row in rows if row["dtype"] == dtype]


def make_project(folder: Path) -> Path:
    """A folder in which stages can run: this checkout's code and configuration, nothing made yet."""
    for name in ("src", "stages", "conf", "assets", "benchmarks", "dvc.yaml"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def run_case(project: Path, case: Case, overrides: list[str]) -> dict[str, Any]:
    """The runner's record of the item."""
    choices = ["profile=paper", *_steps(case.num_steps), *case.overrides, *overrides]
    (project / "params.yaml").write_text(composed(choices))
    path = f"{project / 'src'}{os.pathsep}{project}"
    environment = {**os.environ, "PYTHONPATH": path, INTERVAL_VARIABLE: "0"}
    command = [sys.executable, "-m", "benchmarks.memory_case", *case.arguments]
    done = subprocess.run(  # noqa: S603 - the arguments are those of CASES
        command, cwd=project, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{case.what}: {done.stdout}{done.stderr}")
    record: dict[str, Any] = json.loads((project / "runs/records.jsonl").read_text().splitlines()[-1])
    return record


def _steps(num_steps: int) -> list[str]:
    """Overrides of the numbers of steps of samplers and imputers; DiffPuter's EM is the same for all cases."""
    counted = [
        "ldmiss.sample", "ddpm.sample", "diffputer.sample", "ldmiss.impute.guidance", "ddpm.impute.guidance",
        "ddpm.impute.replacement", "diffputer.impute",
    ]  # fmt: skip
    em = ["diffputer.em.num_iterations=2", "diffputer.em.e_step.num_trials=2", "diffputer.em.e_step.num_steps=2"]
    return [*(f"{section}.num_steps={num_steps}" for section in counted), *em]


def as_markdown(rows: list[dict[str, Any]]) -> str:
    """The table for docs/reliability.md: a row per case, a column per dtype."""
    dtypes = list(dict.fromkeys(row["dtype"] for row in rows))
    peaks = {(row["what"], row["num_steps"], row["dtype"]): row for row in rows}
    machines = dict.fromkeys(
        f"{row['cpu']}, {row['num_threads']} threads, torch {row['torch']}" for row in rows if "cpu" in row
    )
    lines = [
        f"{'; '.join(machines)}.", "",
        f"| stage at the paper's sizes | rows at a time | {' | '.join(f'{dtype}, MB' for dtype in dtypes)} |",
        f"|---|---|{'---|' * len(dtypes)}",
    ]  # fmt: skip
    for what, num_steps in dict.fromkeys((row["what"], row["num_steps"]) for row in rows):
        found = [peaks.get((what, num_steps, dtype)) for dtype in dtypes]
        name = what if num_steps == CASES[0].num_steps else f"{what}, {num_steps} steps instead of {CASES[0].num_steps}"
        numbers = " | ".join(f"{row['peak_memory_mb']:,}" if row else "–" for row in found)
        lines.append(f"| {name} | {(found[0] or {}).get('chunk_size') or ''} | {numbers} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
