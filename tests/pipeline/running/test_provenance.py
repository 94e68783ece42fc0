"""Wrong pairings and corrupted inputs are refused by name; finished outs survive a kill in DVC's commit."""

import fcntl
import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
import zc.lockfile
from dvc.utils.serialize import dump_yaml
from support import tiny

from ldmiss.errors import InputError
from ldmiss.files.tensors import load_tensors, save_tensors
from ldmiss_pipeline.artifacts.paths import Item
from ldmiss_pipeline.running import runner, verify
from ldmiss_pipeline.running.lockfile import dvc_hash, load_lock
from ldmiss_pipeline.running.pipeline import Pipeline

OTHER = Item(0.8, 42)


@pytest.fixture
def copy(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the finished project to change, as the current directory."""
    folder = tmp_path / "copy"
    shutil.copytree(project, folder, symlinks=True)
    monkeypatch.chdir(folder)
    return folder


def test_a_model_of_another_cell_is_refused(copy: Path) -> None:
    """Copied into the place of this cell's, it says where it is from."""
    grid = {"missing_rates": [0.5, 0.8], "seeds": [42]}
    (copy / "params.yaml").write_text(yaml.safe_dump(tiny.document(grid=grid)))
    for stage in ("mask", "train_ddpm"):
        runner.run_stage(stage, OTHER)
    shutil.copy(OTHER.model("ddpm"), tiny.CELL.model("ddpm"))
    with pytest.raises(InputError, match=r"ddpm/0\.5-42\.safetensors: made by train_ddpm@0\.8-42, expected one of"):
        runner.run_stage("sample", Item(0.5, 42, "ddpm"))
    shutil.copy(OTHER.observed("test"), tiny.CELL.observed("test"))
    with pytest.raises(InputError, match=r"0\.5-42/test\.npz: made by mask@0\.8-42"):
        runner.run_stage("evaluate", tiny.CELL)


def test_inputs_made_with_other_params_are_refused(copy: Path) -> None:
    """A stale model is named with the command that makes it again."""
    (copy / "params.yaml").write_text(yaml.safe_dump(tiny.document(ddpm={"train": {"lr": 0.01}})))
    with pytest.raises(InputError, match=r"other params than train_ddpm@0\.5-42 has now; .*`dvc repro train_ddpm@0"):
        runner.run_stage("sample", Item(0.5, 42, "ddpm"))


def test_samples_and_cells_of_other_params_are_refused(copy: Path) -> None:
    """Folders are looked into; the cell's JSON has its stamp, too."""
    (copy / "params.yaml").write_text(yaml.safe_dump(tiny.document(sample={"chunk_size": 7})))
    with pytest.raises(InputError, match=r"samples/0\.5-42/\w+\.npz: made with other params"):
        runner.run_stage("evaluate", tiny.CELL)
    (copy / "params.yaml").write_text(yaml.safe_dump(tiny.document(evaluate={"fid_layer": "logits"})))
    with pytest.raises(InputError, match=r"cells/0\.5-42\.(json|npz): made with other params"):
        runner.run_stage("plot", Item())


def test_latents_of_another_vae_are_refused(copy: Path) -> None:
    """The scale in their file belongs to the VAE whose digest it names."""
    path = tiny.CELL.model("vae")
    tensors, facts = load_tensors(path, kind="vae")
    name = next(name for name, value in tensors.items() if value.dtype == torch.float32 and value.numel() > 1)
    tensors[name] += 1
    save_tensors(path, tensors, kind="vae", facts=facts)
    with pytest.raises(InputError, match=r"latents/0\.5-42\.safetensors: latents and scale of another VAE"):
        runner.run_stage("train_ldm", tiny.CELL)


def test_a_diverging_run_keeps_its_last_good_checkpoint(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stops at the step, and what was saved before is still there to look at."""
    monkeypatch.setenv("LDMISS_CHECKPOINT_SECONDS", "0")
    (copy / "params.yaml").write_text(yaml.safe_dump(tiny.document(ddpm={"train": {"epochs": 9, "lr": 1e30}})))
    with pytest.raises(InputError, match=r"not finite (at|after) step \d+: lower the learning rate"):
        runner.run_stage("train_ddpm", tiny.CELL)
    (kept,) = Path("ckpt").glob("train_ddpm@0.5-42-*/ddpm.safetensors")
    tensors, _ = load_tensors(kept, kind="checkpoint")
    assert int(tensors["step"]) >= 1
    assert all(bool(torch.isfinite(value).all()) for value in tensors.values())


def lock_of(items: list[tuple[str, Item]]) -> dict[str, Any]:
    """What DVC would have in dvc.lock for these items in the current directory."""
    pipeline = Pipeline(yaml.safe_load(Path("params.yaml").read_text()))
    works = [pipeline.work(stage, item) for stage, item in items]
    return {work.label: {"outs": [{"path": str(out), "md5": dvc_hash(out)} for out in work.outs]} for work in works}


def write_lock(stages: dict[str, Any]) -> None:
    """A dvc.lock with these entries."""
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))


@pytest.mark.parametrize(
    ("stage", "item", "path"),
    [
        ("train_vae", tiny.CELL, "data/observed/0.5-42/train.npz"),
        ("evaluate", tiny.CELL, "data/samples/0.5-42/ddpm.npz"),
        ("evaluate", tiny.CELL, "data/imputed/0.5-42/baselines/mean.npz"),
        ("evaluate", tiny.CELL, "data/raw/mnist5k/test.npz"),
        ("plot", Item(), "metrics/curves/vae-0.5-42.csv"),
    ],
)
def test_under_dvc_contents_are_hashed(
    stage: str, item: Item, path: str, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An input that is not what dvc.lock recorded is named, with what to do."""
    monkeypatch.setattr(f"stages.{stage}.run", lambda context: "nothing")
    items = [("download", Item()), *tiny.ITEMS]
    write_lock(lock_of(items))
    monkeypatch.setenv("DVC_STAGE", stage)
    runner.run_stage(stage, item)
    content = bytearray((copy / path).read_bytes())
    content[-1] ^= 1
    (copy / path).write_bytes(content)
    with pytest.raises(InputError, match=r"corrupted: its MD5 is .*python -m stages\.verify --remove"):
        runner.run_stage(stage, item)


def test_dvc_hashes_are_those_of_dvc(copy: Path) -> None:
    """Of a file and of a folder, as DVC itself computes them; temporary files do not count."""
    from dvc_data.hashfile.build import build
    from dvc_data.hashfile.db import HashFileDB
    from dvc_objects.fs import LocalFileSystem

    fs = LocalFileSystem()
    for path in (tiny.CELL.model("vae"), Path("data/imputed/0.5-42/baselines"), Path("data/observed")):
        _, _, found = build(HashFileDB(fs, str(copy / "odb")), str(copy / path), fs, "md5", dry_run=True)
        assert found.hash_info.value == dvc_hash(path)
    before = dvc_hash(Path("data/observed"))
    Path("data/observed/0.5-42/.train.npz.7.tmp").write_text("half")
    assert dvc_hash(Path("data/observed")) == before


def test_verify_finds_and_removes(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Outs and cache objects are hashed again; a file mode of 0444 does not help."""
    write_lock(lock_of(tiny.ITEMS))
    path = tiny.CELL.model("vae")
    cached = copy / "cache/files/md5" / dvc_hash(path)[:2] / dvc_hash(path)[2:]
    cached.parent.mkdir(parents=True)
    shutil.copy(path, cached)
    monkeypatch.setattr(verify, "cache_folder", lambda: copy / "cache")
    assert verify.main([]) == 0
    for file in (path, cached):
        content = bytearray(file.read_bytes())
        content[100] ^= 1
        file.write_bytes(content)
    cached.chmod(0o444)
    assert verify.main([]) == 1
    assert path.exists()
    capsys.readouterr()
    assert verify.main(["--remove"]) == 0
    assert str(path) in (output := capsys.readouterr().out)
    assert str(cached) in output
    assert not path.exists()
    assert not cached.exists()


def test_finished_outs_survive_a_kill_in_dvcs_commit(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """DVC deletes outs that it has not recorded, and runs the stage again: nothing is computed twice."""
    monkeypatch.setenv("DVC_STAGE", "train_ddpm")
    work = Pipeline(yaml.safe_load(Path("params.yaml").read_text())).work("train_ddpm", tiny.CELL)
    made = tiny.fingerprints(copy, "models/ddpm")
    runner.run_stage("train_ddpm", tiny.CELL)
    for out in work.outs:
        out.unlink()
    monkeypatch.setattr("ldmiss.training.loop.Training.run", lambda *args: pytest.fail("trained again"))
    runner.run_stage("train_ddpm", tiny.CELL)
    assert "outs of the run that finished before" in capsys.readouterr().out
    assert tiny.fingerprints(copy, "models/ddpm") == made
    assert all(out.exists() for out in work.outs)

    # Recorded now: the next stage that runs removes what was kept.
    assert list(Path("ckpt").glob("train_ddpm*"))
    write_lock(lock_of([("train_ddpm", tiny.CELL)]))
    runner.run_stage("mask", tiny.CELL)
    assert not list(Path("ckpt").glob("train_ddpm*"))


def test_kept_outs_that_were_altered_are_not_used(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Or that are of other params: the stage runs."""
    monkeypatch.setenv("DVC_STAGE", "train_ddpm")
    made = tiny.fingerprints(copy, "models/ddpm")
    runner.run_stage("train_ddpm", tiny.CELL)
    (kept,) = Path("ckpt").glob("train_ddpm*/finished/models/ddpm/*")
    content = bytearray(kept.read_bytes())
    kept.unlink()
    content[-1] ^= 1
    kept.write_bytes(content)
    runner.run_stage("train_ddpm", tiny.CELL)
    assert "finished outs ignored" in capsys.readouterr().err
    assert tiny.fingerprints(copy, "models/ddpm") == made
    (copy / "params.yaml").write_text(yaml.safe_dump(tiny.document(ddpm={"train": {"lr": 0.01}})))
    runner.run_stage("train_ddpm", tiny.CELL)
    assert "left aside: it is of other work" in capsys.readouterr().err
    assert tiny.fingerprints(copy, "models/ddpm") != made


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


def test_the_record_says_what_it_ran_on(copy: Path) -> None:
    """Device, dtype, threads, versions, time, memory, and what the checkpoints took."""
    runner.run_stage("train_vae", tiny.CELL)
    record = json.loads(Path("runs/records.jsonl").read_text().splitlines()[-1])
    assert {"device", "dtype", "num_threads", "torch", "seconds", "peak_memory_mb", "versions"} <= set(record)
    assert record["restored"] == []
    assert record["checkpoint_seconds"] >= 0


def test_an_unreadable_lock_is_named(tmp_path: Path) -> None:
    """As git leaves it in a merge conflict, for example."""
    path = tmp_path / "dvc.lock"
    path.write_text("<<<<<<< HEAD\nstages: {a: [}\n")
    with pytest.raises(InputError, match=r"dvc\.lock: not valid YAML"):
        load_lock(path)


def test_the_lock_is_read_while_nobody_writes_it(tmp_path: Path) -> None:
    """DVC rewrites it in place and holds its own lock meanwhile: a reader waits and gets all of it."""
    entries = {"stages": {name: {"cmd": "x", "outs": [{"path": name, "md5": "0" * 32}]} for name in ("a", "b")}}
    path, ours = tmp_path / "dvc.lock", tmp_path / ".dvc/tmp/lock"
    ours.parent.mkdir(parents=True)
    with ThreadPoolExecutor(1) as pool:
        writing = zc.lockfile.LockFile(str(ours))  # as DVC takes it
        path.write_text(yaml.safe_dump({"stages": {"a": entries["stages"]["a"]}}))
        reading = pool.submit(load_lock, path)
        time.sleep(0.3)
        path.write_text(yaml.safe_dump(entries))
        writing.close()
        assert set(reading.result()) == {"a", "b"}


def test_a_lock_that_is_never_free_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ldmiss_pipeline.running.lockfile._LOCK_SECONDS", 0.1)
    (tmp_path / "dvc.lock").write_text("stages: {}")
    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    held = zc.lockfile.LockFile(str(tmp_path / ".dvc/tmp/lock"))
    with pytest.raises(InputError, match="another command of DVC's holds it"):
        load_lock(tmp_path / "dvc.lock")
    held.close()
    assert load_lock(tmp_path / "dvc.lock") == {}


def test_numbers_of_the_lock_are_those_that_dvc_wrote(tmp_path: Path) -> None:
    """In its YAML 1.2 `1e-06` is a number; a hash that looks like one is a text."""
    params = {"a": 1e-06, "b": 2e10, "c": 0.5, "d": 3, "e": "1e-06", "f": True}
    entry = {"params": {"params.yaml": params}, "outs": [{"path": "one", "md5": "1e" + 30 * "2"}]}
    dump_yaml(str(tmp_path / "dvc.lock"), {"schema": "2.0", "stages": {"one": entry}})
    assert load_lock(tmp_path / "dvc.lock") == {"one": entry}
