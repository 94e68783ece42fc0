"""Which stages are left, told from dvc.lock: the hashes of folders of code are those of DVC's own entries."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.imports import ROOT

from ldmiss_pipeline.artifacts.paths import Item
from ldmiss_pipeline.grid.up_to_date import UpToDate
from ldmiss_pipeline.running.lockfile import dvc_hash, load_lock
from ldmiss_pipeline.running.pipeline import Pipeline, StageItem

CODE = ["src/ldmiss/fitting", "src/ldmiss_pipeline", "stages", "assets"]
PIPELINE: dict[str, Any] = {
    "first": {"cmd": "cat stages/*.py > first", "params": ["a"], "deps": CODE, "outs": ["first"]},
    "second": {"cmd": "cp first second", "deps": ["first"], "outs": ["second"]},
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two stages that DVC has run over our folders of code, with what an editor and Python leave there."""
    monkeypatch.chdir(tmp_path)
    for name in ("src", "stages", "assets"):
        shutil.copytree(ROOT / name, name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".dvcignore", ".dvcignore")
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": PIPELINE}))
    Path("params.yaml").write_text("a: 1\n")
    hidden = ("stages/.swap.py.1.tmp", "src/ldmiss/fitting/.vae.py")
    for name in ("src/ldmiss/fitting/notes.txt", "stages/table.csv", "assets/note.txt", *hidden):
        Path(name).write_text("left")
    for folder in ("src/ldmiss/fitting", "stages"):
        Path(folder, ".#vae.py").symlink_to("nobody@nowhere.1:1")  # as Emacs marks a file that it edits
    Path("src/ldmiss/fitting/__pycache__").mkdir()
    Path("src/ldmiss/fitting/__pycache__/vae.pyc").write_text("compiled")
    for arguments in (["init", "--no-scm", "--quiet"], ["repro", "--quiet"]):
        subprocess.run([sys.executable, "-m", "dvc", *arguments], check=True)
    return tmp_path


def items() -> list[StageItem]:
    pipeline = Pipeline({"a": 1, "grid": {"missing_rates": [0.5], "seeds": [42]}})
    return [pipeline.stage_item(stage, Item()) for stage in pipeline.stages]


def current() -> list[bool]:
    checked = UpToDate(load_lock())
    return [checked.check(item) for item in items()]


def test_folders_are_hashed_as_dvc_does(project: Path) -> None:
    """Against the entry of dvc.lock that DVC wrote; what it ignores changes nothing, code and tables do."""
    recorded = {dep["path"]: dep["md5"] for dep in load_lock()["first"]["deps"]}
    assert {name: dvc_hash(Path(name)) for name in CODE} == recorded
    assert current() == [True, True]
    for name in ("src/ldmiss/fitting/notes.txt", "stages/table.csv"):
        Path(name).write_text("other")
    assert current() == [True, True]
    for name in ("src/ldmiss/fitting/vae.py", "src/ldmiss_pipeline/new.csv", "stages/mask.py"):
        before = Path(name).read_text() if Path(name).exists() else None
        Path(name).write_text(f"{before}# a comment\n")
        assert current() == [False, False], name
        Path(name).write_text(before) if before is not None else Path(name).unlink()
    assert current() == [True, True]


def test_what_else_makes_a_stage_run_again(project: Path) -> None:
    """Other params, a dependency that was not recorded, an out that is gone, and what comes before."""
    first, second = items()
    lock = load_lock()
    lock["first"]["params"]["params.yaml"]["a"] = 2
    assert not UpToDate(lock).check(first)
    lock = load_lock()
    lock["first"]["deps"].pop()
    assert not UpToDate(lock).check(first)
    Path("second").unlink()
    assert current() == [True, False]
    assert [UpToDate({}).check(item) for item in (first, second)] == [False, False]
