"""Checkpoints of a finished stage stay until DVC has recorded its outs: a kill in between costs seconds."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support import tiny
from support.imports import ROOT
from support.recorded import lock_of, write_lock

from ldmiss_pipeline.running import runner


@pytest.fixture
def copy(copy: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That project under DVC, with a checkpoint after every step."""
    monkeypatch.setenv("DVC_STAGE", "train_ddpm")
    monkeypatch.setenv("LDMISS_CHECKPOINT_SECONDS", "0")
    return copy


def test_once_recorded_they_go_with_the_next_stage(copy: Path) -> None:
    """And only then: an entry of another run's outs does not count."""
    runner.run_stage("train_ddpm", tiny.CELL)
    (kept,) = Path("ckpt").glob("train_ddpm*")
    recorded = lock_of([("train_ddpm", tiny.CELL), ("download", tiny.Item())])
    for part in ("outs", "deps"):  # the same bytes out of other code are not recorded yet either
        other = json.loads(json.dumps(recorded))
        other["train_ddpm@0.5-42"][part][0]["md5"] = "0" * 32
        write_lock(other)
        runner.run_stage("mask", tiny.CELL)
        assert kept.exists()
    write_lock(recorded)
    runner.run_stage("mask", tiny.CELL)
    assert not list(Path("ckpt").glob("train_ddpm*"))


def test_of_other_params_nothing_is_taken(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are left aside, and say so."""
    made = tiny.fingerprints(copy, "models/ddpm")
    runner.run_stage("train_ddpm", tiny.CELL)
    (copy / "params.yaml").write_text(yaml.safe_dump(tiny.document(ddpm={"train": {"lr": 0.01}})))
    record = runner.run_stage("train_ddpm", tiny.CELL)
    assert record["restored"] == []
    assert "left aside: it is of other work" in capsys.readouterr().err
    assert tiny.fingerprints(copy, "models/ddpm") != made


@pytest.mark.slow
def test_with_dvc_a_kill_costs_no_training_and_a_forced_run_trains(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after its stage, DVC deletes outs that it does not know and runs the stage again: from its last step.

    `dvc repro --force` on what is recorded starts over, as often as asked: determinism can be checked that way.
    """
    folders = ("models/ddpm", "metrics/curves")
    made = tiny.fingerprints(copy, *folders)
    runner.run_stage("train_ddpm", tiny.CELL)  # ... and here its DVC is killed
    monkeypatch.delenv("DVC_STAGE")
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}", "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(copy.parent / "site"),
    }  # fmt: skip

    def dvc(*arguments: str) -> None:
        done = subprocess.run(["dvc", *arguments], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    dvc("init", "--no-scm", "--quiet")
    shutil.copy(ROOT / ".dvcignore", copy)
    Path("runs/records.jsonl").unlink()
    for options in ([], ["--force"], ["--force"]):
        dvc("repro", "--quiet", *options, "--single-item", "train_ddpm@0.5-42")
        assert tiny.fingerprints(copy, *folders) == made
    records = [json.loads(line) for line in Path("runs/records.jsonl").read_text().splitlines()]
    assert [record["restored"] for record in records] == [["ddpm"], [], []]
