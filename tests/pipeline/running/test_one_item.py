"""One item under the runner: its lock, its left-overs, and a training that diverges."""

import fcntl
import os
from pathlib import Path

import pytest
import torch
import yaml
from support import tiny

from ldmiss.errors import DivergenceError, InputError
from ldmiss.files.tensors import load_tensors
from ldmiss_pipeline.running import runner


def test_a_diverging_run_keeps_its_last_good_checkpoint(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stops at the step, and what was saved before is still there to look at."""
    monkeypatch.setenv("LDMISS_CHECKPOINT_SECONDS", "0")
    (copy / "params.yaml").write_text(yaml.safe_dump(tiny.document(ddpm={"train": {"epochs": 9, "lr": 1e30}})))
    with pytest.raises(DivergenceError, match=r"not finite (at|after) step \d+: lower the learning rate"):
        runner.run_stage("train_ddpm", tiny.CELL)
    (kept,) = Path("ckpt").glob("train_ddpm@0.5-42-*/ddpm.safetensors")
    tensors, _ = load_tensors(kept, kind="checkpoint")
    assert int(tensors["step"]) >= 1
    assert all(bool(torch.isfinite(value).all()) for value in tensors.values())


def test_one_process_per_item(copy: Path) -> None:
    """Two at once would write the same files."""
    path = Path("runs/locks/mask@0.5-42.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(InputError, match=r"another process is running mask@0\.5-42"):
        runner.run_stage("mask", tiny.CELL)
    os.close(descriptor)
    runner.run_stage("mask", tiny.CELL)


def test_left_overs_of_a_kill_are_swept(copy: Path) -> None:
    """A temporary file of a killed run beside an out goes, others stay."""
    mine = Path("models/vae/.0.5-42.safetensors.123.tmp")
    other = Path("models/vae/.0.8-42.safetensors.123.tmp")
    for path in (mine, other):
        path.write_text("half")
    runner.run_stage("train_vae", tiny.CELL)
    assert not mine.exists()
    assert other.exists()
