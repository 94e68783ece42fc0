"""For the grid's tests: a project of the real code and params whose stages take no time, and an engine without one."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml

from ldmiss_pipeline.grid.engines.interface import Job
from ldmiss_pipeline.grid.events import WORKER, add_event
from ldmiss_pipeline.grid.state import GridRun
from support import tiny
from support.imports import ROOT

TOY = """
import hashlib, os, pathlib, signal, sys, time
label, outs, deps = sys.argv[1], sys.argv[2].split(","), sys.argv[3:]
control = pathlib.Path(os.environ["TOY_CONTROL"])
with (control / "runs").open("a") as file:
    file.write(label + "\\n")
start = pathlib.Path("runs/locks", f"{label}.start")  # as the runner does
start.parent.mkdir(parents=True, exist_ok=True)
start.write_text(os.environ.get("LDMISS_STARTED_BY", ""))
if (control / f"poison {label}").exists():
    sys.exit(f"error: {label}: poisoned")
deadline = time.monotonic() + 300
while (control / f"hold {label}").exists() and time.monotonic() < deadline:
    (control / f"holding {label}").touch()
    time.sleep(0.05)
digest = hashlib.sha256(label.encode())
files = [file for dep in map(pathlib.Path, deps) for file in [dep, *dep.rglob("*")] if file.is_file()]
for path in sorted(files):
    digest.update(path.read_bytes())
for out in map(pathlib.Path, outs):
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text('{"digest": "' + digest.hexdigest() + '"}\\n')
"""
"""Writes the hash of what it reads; waits while it is held, and fails where it is poisoned."""


def _stage(name: str, out: str, *deps: str, matrix: bool = True, **more: Any) -> dict[str, Any]:
    item = "@${item.missing_rate}-${item.seed}" if matrix else ""
    definition: dict[str, Any] = {
        "cmd": f"python toy.py {name}{item} {out} {' '.join(deps)}", "deps": ["toy.py", *deps], "outs": [out],
        "params": ["sample.num_images"],
    }  # fmt: skip
    if matrix:
        definition["matrix"] = {"missing_rate": "${grid.missing_rates}", "seed": "${grid.seeds}"}
    return definition | more


CELL = "${item.missing_rate}-${item.seed}"
STAGES = {
    "download": _stage("download", "data/raw/mnist5k", matrix=False),
    "mask": _stage("mask", f"data/observed/{CELL}", "data/raw/mnist5k"),
    "train_vae": _stage("train_vae", f"models/vae/{CELL}", f"data/observed/{CELL}"),
    "evaluate": _stage("evaluate", f"metrics/cells/{CELL}.json", f"models/vae/{CELL}", "data/raw/mnist5k"),
    "plot": _stage("plot", "metrics/summary.json", "metrics/cells", matrix=False, params=["grid"], outs=[],
                   metrics=[{"metrics/summary.json": {"cache": False}}]),
}  # fmt: skip
DDPM = _stage("train_ddpm", f"models/ddpm/{CELL}", f"data/observed/{CELL}")
TWO_MODELS = {
    **{name: STAGES[name] for name in ("download", "mask", "train_vae")}, "train_ddpm": DDPM,
    "evaluate": _stage("evaluate", f"metrics/cells/{CELL}.json", f"models/vae/{CELL}", f"models/ddpm/{CELL}"),
    "plot": STAGES["plot"],
}  # fmt: skip
"""Two stages of a cell that need not wait for each other."""


class World:
    """A clone of a coordinator's, a directory remote, and what holds or poisons the stages.

    Args:
        top: a folder that does not exist.
        stages: of dvc.yaml.
        changes: to the tiny params.
    """

    def __init__(self, top: Path, stages: dict[str, Any] = STAGES, **changes: Any) -> None:
        self.project, self.remote, self.control = top / "project", top / "remote", top / "control"
        self.temporary = top / "tmp"
        for folder in (self.project, self.control, self.temporary):
            folder.mkdir(parents=True)
        ignored = shutil.ignore_patterns("__pycache__")
        for name in ("src", "stages"):
            shutil.copytree(ROOT / name, self.project / name, ignore=ignored)
        for name in (".dvc/config", ".gitignore", ".dvcignore"):
            (self.project / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, self.project / name)
        (self.project / "toy.py").write_text(TOY)
        (self.project / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
        grid = {"name": "cell", "missing_rates": [0.5, 0.8], "seeds": [42]}
        self.set_params(tiny.document(**{"grid": grid, **changes}))
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("config", "user.name", "test")
        self.git("config", "user.email", "test@example.invalid")
        (self.project / ".dvc/.gitignore").write_text("/config.local\n/tmp\n/cache\n")
        self.commit()
        self.dvc("remote", "add", "--local", "--default", "shelf", str(self.remote))

    def set_params(self, document: dict[str, Any]) -> None:
        """Write params.yaml."""
        (self.project / "params.yaml").write_text(yaml.safe_dump(document))

    def commit(self) -> None:
        """Commit everything."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "state")

    def git(self, *arguments: str) -> str:
        return self._call(["git", *arguments])

    def dvc(self, *arguments: str) -> str:
        return self._call([sys.executable, "-m", "dvc", *arguments])

    def grid(self, *arguments: str, status: int = 0) -> str:
        """Run `python -m ldmiss_pipeline grid`; what it printed."""
        return self._call([sys.executable, "-m", "ldmiss_pipeline", "grid", *arguments], status)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The same in the background, in a process group of its own."""
        command = [sys.executable, "-m", "ldmiss_pipeline", "grid", *arguments]
        return subprocess.Popen(
            command, cwd=self.project, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def executed(self) -> list[str]:
        """The labels of the stages that ran, in order, in whatever clone."""
        path = self.control / "runs"
        return path.read_text().splitlines() if path.exists() else []

    def events(self, cell: str) -> list[dict[str, Any]]:
        """Events of a cell, of all runs."""
        files = self.project.glob(f"runs/grid/*/events/{cell}.jsonl")
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]

    def lock(self) -> str:
        return (self.project / "dvc.lock").read_text()

    @property
    def environment(self) -> dict[str, str]:
        """Environment of every command: nothing is shared with other tests."""
        return os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": f"{self.project}{os.pathsep}{self.project / 'src'}",
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(self.project.parent / "site"),
            "TOY_CONTROL": str(self.control),
            "TMPDIR": str(self.temporary),
            "HOME": str(self.project.parent),
        }

    def _call(self, command: list[str], status: int = 0) -> str:
        done = subprocess.run(
            command, cwd=self.project, env=self.environment, check=False, capture_output=True, text=True
        )
        assert done.returncode == status, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr


CELLS = ["0.5-42", "0.8-42"]


class FakeEngine:
    """Jobs that end, at the next look, as their script says: "done", "failed", or "gone" without a word."""

    sees_folder, poll_seconds, python = True, 0.0, "python"

    def __init__(self, run: GridRun, **scripts: list[str]) -> None:
        self._run, self._scripts = run, {name.replace("_", ".").replace("x", "-"): of for name, of in scripts.items()}
        self.submitted: list[str] = []
        self.left: dict[str, list[str]] = {}
        self.names: list[str] = []

    def check(self) -> None:
        """Always there."""

    def submit(self, job: Job) -> None:
        cell, attempt = (job.command[job.command.index(name) + 1] for name in ("--cell", "--attempt"))
        self.submitted.append(cell)
        self.names.append(job.name)
        self.left[job.name] = [cell, attempt]

    def active(self, names: Collection[str]) -> set[str]:
        """Each job is active once, and ends then."""
        still = set(names) & set(self.left)
        for job in still:
            cell, attempt = self.left.pop(job)
            ending = self._scripts[cell].pop(0)
            if ending != "gone":
                event = {"cell": cell, "attempt": int(attempt), "host": "h", "stage": WORKER, "status": ending}
                add_event(self._run.events(cell), event)
        return still

    def cancel(self, names: Collection[str]) -> None:
        """Nothing to do."""

    def output(self, job: str) -> str:
        return ""
