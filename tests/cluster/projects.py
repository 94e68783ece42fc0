"""Projects of the test bed: a bare origin, what a plain `dvc repro` of its commit gives, and homes that run its grid.

`real` has our stages at the tiny sizes of the other tests, on 80 digits, with LDMiss and the baselines only; `toy` has
stages that cost nothing, so that many faults can be tried. Homes differ in nothing but their remote.
"""

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import yaml
from support import tiny
from support.imports import ROOT

from cluster.processes import environment_without, start

INSIDE = Path(__file__).parent / "inside"
FEWER_DIGITS = (
    ("splits.py", '"train": slice(0, 400), "test": slice(400, 500)', '"train": slice(0, 5), "test": slice(400, 403)'),
    ("mnist5k.py", "Dataset(4000, 1000,", "Dataset(50, 30,"),
)
"""Replaced in src/ldmiss_pipeline/datasets of the real project: file, text, other text."""
METHODS = {"sample": {"methods": ["ldmiss"]}, "impute": {"methods": ["ldmiss", "baselines"]}}
REAL_GRID = {"missing_rates": [0.1, 0.5, 0.8], "seeds": [42, 43]}
TOY_GRID = {"missing_rates": [0.5, 0.8], "seeds": [42]}
TOY_CHAIN = ("mask", "train_vae", "train_ldm", "evaluate")
"""Stages of a toy cell, each of which reads the one before."""
WATCH = """

from ldmiss_pipeline.grid.watch import watched

add_event = watched(add_event)
"""
"""At the end of src/ldmiss_pipeline/grid/events.py."""
_TIMEOUT = 2400


class Project:
    """A committed project and the result of its plain `dvc repro`.

    Args:
        folder: new; everything is below it.
        grid: `missing_rates` and `seeds`.
        toy: stages that cost nothing.
    """

    def __init__(self, folder: Path, grid: Mapping[str, Any], *, toy: bool) -> None:
        self.folder, self.origin, self.plain = folder, folder / "origin.git", folder / "plain"
        self.cells = [f"{rate}-{seed}" for rate in grid["missing_rates"] for seed in grid["seeds"]]
        self._numbers = itertools.count()
        source = folder / "source"
        folder.mkdir(parents=True)
        _run(["git", "clone", "--quiet", str(ROOT), str(source)], folder)
        (make_toy if toy else make_real)(source)
        changes = {"grid": dict(grid), **METHODS}
        (source / "params.yaml").write_text(yaml.safe_dump(tiny.document(**changes), sort_keys=False))
        for name in ("dvc.lock", "metrics/summary.json"):
            (source / name).unlink(missing_ok=True)  # a commit that changes the stages has no dvc.lock yet
        shutil.copy(INSIDE / "toy.py", source / "stages")
        for name in ("toy.py", "watch.py"):  # workers carry src alone
            shutil.copy(INSIDE / name, source / "src/ldmiss_pipeline/grid")
        with (source / "src/ldmiss_pipeline/grid/events.py").open("a") as file:
            file.write(WATCH)
        _run(["git", "add", "--all"], source)
        _run(["git", *_IDENTITY, "commit", "--quiet", "-m", "The project of the test bed"], source)
        _run(["git", "clone", "--quiet", "--bare", str(source), str(self.origin)], folder)

    def run_plain(self) -> None:
        """The clean run, in one folder without any grid.

        Raises:
            RuntimeError: it fails.
        """
        _run(["git", "clone", "--quiet", str(self.origin), str(self.plain)], self.folder)
        _run(["dvc", "repro"], self.plain, environment(self.plain))

    def home(self, remote: Mapping[str, str] | None = None, more: Mapping[str, str] | None = None) -> "Home":
        """A new clone with a remote of its own: an empty folder, or what the settings name."""
        top = self.folder / f"home-{next(self._numbers)}"
        (top / "remote").mkdir(parents=True)
        (top / "control").mkdir()
        _run(["git", "clone", "--quiet", str(self.origin), str(top / "project")], top)
        settings = remote or {"url": str(top / "remote")}
        lines = [
            "[core]",
            "    remote = store",
            "['remote \"store\"']",
            *(f"    {k} = {v}" for k, v in settings.items()),
        ]
        (top / "project/.dvc/config.local").write_text("\n".join(lines) + "\n")
        return Home(self, top, more or {})


class Home:
    """A clone from which a grid is run.

    Attributes:
        folder: of the clone.
        origin: what workers clone.
        remote: folder of the remote.
        control: where toy stages say what they do, and find what to do.
    """

    def __init__(self, project: Project, top: Path, more: Mapping[str, str]) -> None:
        self._project, self.top, self.folder, self.origin = project, top, top / "project", project.origin
        self.remote, self.control = top / "remote", top / "control"
        self.environment = {**environment(self.folder), "TMPDIR": str(top), **more}

    def start(self, *arguments: str) -> psutil.Popen:
        """Start `python -m ldmiss_pipeline grid` with these arguments, which goes on."""
        return start([*_GRID, *arguments], self.top / "grid.log", self.environment, self.folder)

    def grid(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """`python -m ldmiss_pipeline grid` to its end; its output, both streams in one."""
        done = subprocess.run(
            [*_GRID, *arguments], cwd=self.folder, env=self.environment, text=True, check=False, timeout=_TIMEOUT,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        with (self.top / "grid.log").open("a") as file:
            file.write(f"$ grid {' '.join(arguments)}\n{done.stdout}exit status {done.returncode}\n")
        return done

    def collect(self, *arguments: str) -> str | None:
        """`grid collect`; what is wrong with it, in one line: it fails, or runs more than the figures."""
        done = self.grid("collect", "--no-commit", *arguments)
        if done.returncode:
            return f"collect: {done.stdout.strip()[-300:]}"
        executed = set(re.findall(r"Running stage '([^']+)'", done.stdout)) - {"plot"}
        return f"collect ran {', '.join(sorted(executed))} again" if executed else None

    @property
    def run(self) -> dict[str, Any]:
        """`run.json`: the jobs of every try."""
        (path,) = self.folder.glob("runs/grid/*/run.json")
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    def events(self) -> list[dict[str, Any]]:
        """The events of all workers so far."""
        paths = sorted(self.folder.glob("runs/grid/*/events/*.jsonl"))
        return [json.loads(line) for path in paths for line in path.read_text().splitlines() if line.endswith("}")]

    def hold(self, label: str) -> None:
        """Let a toy stage wait, until `release`."""
        (self.control / f"hold-{label}").touch()

    def release(self) -> None:
        """Let all go on."""
        for path in self.control.glob("hold-*"):
            path.unlink()

    def said(self, label: str, what: str) -> int:
        """How often a toy stage said this."""
        return sum((one["label"], one["what"]) == (label, what) for one in self.log())

    def log(self) -> list[dict[str, Any]]:
        """All that toy stages said."""
        path = self.control / "log.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def difference(self, only: str | None = None) -> str | None:
        """What differs from the plain run, in one line; of one item alone where it is given."""
        made, expected = (_stages(folder, only) for folder in (self.folder, self._project.plain))
        wrong = sorted(name for name in made.keys() | expected.keys() if made.get(name) != expected.get(name))
        if wrong:
            return f"dvc.lock other than the plain run's: {', '.join(wrong[:4])}"
        outs = [Path(out["path"]) for entry in expected.values() for out in entry["outs"]]
        for path in [path for path in outs if path.parts[0] == "metrics"]:
            for file in [path, *path.rglob("*")]:
                if (self._project.plain / file).is_file() and not _same(self.folder / file, self._project.plain / file):
                    return f"{file}: other than the plain run's, though dvc.lock is the same"
        return None


def make_real(source: Path) -> None:
    """Our own pipeline, on fewer digits."""
    for name, old, new in FEWER_DIGITS:
        path = source / "src/ldmiss_pipeline/datasets" / name
        text = path.read_text()
        if old not in text:
            raise RuntimeError(f"{path}: has no {old!r}")
        path.write_text(text.replace(old, new))


def make_toy(source: Path) -> None:
    """Four stages a cell that cost nothing."""
    item, previous = "${item.missing_rate}-${item.seed}", "data/raw/toy.json"
    stages: dict[str, Any] = {"download": _toy_stage("download", previous)}
    matrix = {"missing_rate": "${grid.missing_rates}", "seed": "${grid.seeds}"}
    for name in TOY_CHAIN:
        out = f"metrics/cells/{item}.json" if name == "evaluate" else f"models/{name}/{item}.json"
        stages[name] = {"matrix": matrix, **_toy_stage(f"{name}@{item}", out, previous)}
        previous = out
    stages["plot"] = _toy_stage("plot", "metrics/summary.json", "metrics/cells")
    stages["plot"]["metrics"] = [{stages["plot"].pop("outs")[0]: {"cache": False}}]
    (source / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))


def _toy_stage(label: str, out: str, *deps: str) -> dict[str, Any]:
    inputs = ["stages/toy.py", *deps]
    return {"cmd": f"python -m stages.toy {label} {out} {' '.join(inputs)}", "deps": inputs, "outs": [out]}


def environment(folder: Path) -> dict[str, str]:
    """Environment of a command in a clone: its own code, this Python's programs, a cache of DVC's own."""
    return {
        **environment_without("SLURM", "RAY_", "AWS_"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": f"{folder}{os.pathsep}{folder / 'src'}",
        "DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(folder.parent / f"site-{folder.name}"),
        "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive",
        **{f"GIT_{who}_{what}": "test@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }  # fmt: skip


def _same(one: Path, other: Path) -> bool:
    return one.is_file() and one.read_bytes() == other.read_bytes()


def _stages(folder: Path, only: str | None) -> dict[str, Any]:
    lock = folder / "dvc.lock"
    stages = yaml.load(lock.read_text(), yaml.CSafeLoader)["stages"] if lock.exists() else {}
    return {name: entry for name, entry in stages.items() if only in (None, name)}


def _run(command: list[str], folder: Path, variables: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        command, cwd=folder, env=dict(variables or os.environ), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout[-2000:]} {done.stderr[-2000:]}")
    return done.stdout


_GRID = [sys.executable, "-m", "ldmiss_pipeline", "grid"]
_IDENTITY = ["-c", "user.name=test", "-c", "user.email=test@example.invalid"]
