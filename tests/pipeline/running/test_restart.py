"""A stage that is killed goes on from its checkpoint and ends with the bytes of an uninterrupted run."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from support import tiny

import ldmiss_pipeline.running.checkpoint
from ldmiss.training.loop import Training


class Killed(BaseException):
    """Stands for a SIGKILL: nothing in the stages catches it."""


RESTARTABLE = [
    "train_classifier", "train_vae", "train_ldm", "train_ddpm", "train_diffputer", "calibrate", "sample", "impute",
]  # fmt: skip


@pytest.mark.parametrize("stage", RESTARTABLE)
def test_a_killed_stage_goes_on(stage: str, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed again and again, each time a little later, a stage still ends with the bytes of an uninterrupted run."""
    monkeypatch.setattr(ldmiss_pipeline.running.checkpoint, "SECONDS_BETWEEN", 0.0)
    folder = tmp_path / "killed"
    shutil.copytree(project, folder, symlinks=True)
    name = {"train_ldm": "ldmiss", "train_ddpm": "ddpm", "calibrate": "posterior"}.get(
        stage, stage.removeprefix("train_")
    )
    outs = [path for path in [*folder.glob(f"models/{name}*/*"), *folder.glob(f"models/{name}*.*"),
                              *folder.glob(f"data/{name}*/**/*.npz")] if path.is_file()]  # fmt: skip
    assert outs
    for path in outs:
        path.unlink()

    kills = 0
    work_done = 0
    dead: list[Any] = []
    original_save = ldmiss_pipeline.running.checkpoint.FileCheckpoint.save

    def save_then_die(self: Any, slot: str, tensors: Any) -> None:
        nonlocal kills, work_done
        if self in dead:  # another thread of a run that was killed: a real kill ends all of them
            raise Killed
        original_save(self, slot, tensors)
        work_done += 1
        if work_done % 2 == 0:
            kills += 1
            dead.append(self)
            raise Killed

    monkeypatch.setattr(ldmiss_pipeline.running.checkpoint.FileCheckpoint, "save", save_then_die)
    for item in [item for name, item in tiny.ITEMS if name == stage]:
        for _ in range(60):
            try:
                tiny.run(folder, lambda name: name == stage, item)
                break
            except Killed:
                continue
        else:
            pytest.fail(f"{stage}@{item.name} never ended: it starts over each time")
    assert kills >= 2
    assert tiny.fingerprints(folder, *tiny.MADE) == tiny.fingerprints(project, *tiny.MADE)
    assert not any((folder / "ckpt").iterdir()), "a checkpoint was left behind"


def test_a_truncated_checkpoint_is_ignored(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A checkpoint that cannot be read is named in a warning, and the stage starts clean."""
    monkeypatch.setattr(ldmiss_pipeline.running.checkpoint, "SECONDS_BETWEEN", 0.0)
    folder = tmp_path / "truncated"
    shutil.copytree(project, folder, symlinks=True)
    original_run = Training.run

    def die_late(self: Training, batch_loss: Any, on_step: Any) -> None:
        def on_step_then_die(training: Training) -> None:
            on_step(training)
            if training.step == 3:
                raise Killed

        original_run(self, batch_loss, on_step_then_die)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "run", die_late)
        with pytest.raises(Killed):
            tiny.run(folder, lambda name: name == "train_vae")
    (checkpoint,) = (folder / "ckpt").rglob("vae.safetensors")
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    tiny.run(folder, lambda name: name == "train_vae")
    assert "warning: checkpoint ignored" in capsys.readouterr().err
    assert tiny.fingerprints(folder, "models") == tiny.fingerprints(project, "models")
