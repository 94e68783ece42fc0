"""What DVC itself costs: `dvc repro` where nothing is to do, for one cell and for the paper's 18.

In a toy clone: our dvc.yaml and code, with commands that only make files. One cell is run; the lock of the others is
that of the first under their names, which `dvc repro` confirms by running nothing.
"""

import atexit
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

import yaml

from benchmarks.setting import Setting
from benchmarks.timing import Case, Comparison, Timed
from ldmiss_pipeline.config.compose import ROOT, composed

FILE_SUFFIXES = (".npz", ".safetensors", ".json", ".csv", ".png")
RATES = (0.5, 0.0, 0.1, 0.3, 0.6, 0.8, 0.2, 0.4, 0.7, 0.9)
"""The paper's six first."""
SEEDS = tuple(range(42, 52))
FIRST = "0.5-42"
"""The cell of the committed params."""


def no_op(setting: Setting) -> Case:
    """Per item, what a user waits for in a pipeline that is up to date."""
    num_rates, num_seeds = setting.sizes.cells
    one, many = toy_project(1, 1), toy_project(num_rates, num_seeds)
    timed = {
        "start of dvc alone": Timed(lambda: dvc(one, "--version"), 1),
        "no-op, 1 cell": Timed(lambda: dvc(one, "repro", "--quiet"), num_items(one)),
        f"no-op, {num_rates * num_seeds} cells": Timed(lambda: dvc(many, "repro", "--quiet"), num_items(many)),
    }
    comparisons = [
        Comparison("per item: many cells against one", f"no-op, {num_rates * num_seeds} cells", "no-op, 1 cell")
    ]
    return Case(timed, comparisons, "item", max_rounds=3)


def dvc(folder: Path, *arguments: str) -> str:
    """Run DVC there; its output."""
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout} {done.stderr}")
    return done.stdout


def num_items(folder: Path) -> int:
    """In the lock: items of the pipeline."""
    return len(re.findall(r"^  \S.*:$", (folder / "dvc.lock").read_text(), flags=re.MULTILINE))


def toy_project(num_rates: int, num_seeds: int) -> Path:
    """A pipeline that is up to date, in a folder of its own until this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="ldmiss-bench-dvc-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name in ("src", "stages", "assets"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "dvc.yaml").write_text(yaml.safe_dump(with_toy_commands(yaml.safe_load((ROOT / "dvc.yaml").read_text()))))
    (folder / "params.yaml").write_text(composed([]))
    shutil.copy(ROOT / ".gitignore", folder)
    shutil.copy(ROOT / ".dvcignore", folder)
    subprocess.run(["git", "init", "--quiet", folder], check=True)  # noqa: S603, S607 - our own command
    dvc(folder, "init", "--quiet")
    dvc(folder, "repro", "--quiet")
    rates, seeds = list(RATES[:num_rates]), list(SEEDS[:num_seeds])
    (folder / "params.yaml").write_text(composed([f"grid.missing_rates={rates}", f"grid.seeds={seeds}"]))
    _repeat_cell(folder, [f"{rate}-{seed}" for rate in rates for seed in seeds])
    return folder


def with_toy_commands(pipeline: dict[str, Any]) -> dict[str, Any]:
    """The pipeline with commands that put one letter into each of its outs; without the figures.

    They see all cells, and would have to run for each number of them.
    """
    pipeline = {"stages": {name: stage for name, stage in pipeline["stages"].items() if name != "plot"}}
    for stage in pipeline["stages"].values():
        lines = []
        for out in [*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])]:
            path = out if isinstance(out, str) else next(iter(out))
            target = path if path.endswith(FILE_SUFFIXES) else f"{path}/file"
            lines.append(f"mkdir -p $(dirname {target}) && echo x > {target}")
        stage["cmd"] = lines
    return pipeline


def _repeat_cell(folder: Path, cells: list[str]) -> None:
    """The files and the lock of the first cell, for all."""
    lock = yaml.safe_load((folder / "dvc.lock").read_text())
    first = {name: entry for name, entry in lock["stages"].items() if FIRST in name}
    once = {name: entry for name, entry in lock["stages"].items() if name not in first}
    text = yaml.safe_dump({"schema": lock["schema"], "stages": once}, sort_keys=False)
    part = textwrap.indent(yaml.safe_dump(first, sort_keys=False), "  ")
    (folder / "dvc.lock").write_text(text + "".join(part.replace(FIRST, cell) for cell in cells))
    for path in [path for path in folder.rglob(f"*{FIRST}*") if ".dvc" not in path.parts]:
        for target in [path.with_name(path.name.replace(FIRST, cell)) for cell in cells if cell != FIRST]:
            if path.is_dir():
                shutil.copytree(path, target)
            else:
                shutil.copy(path, target)
