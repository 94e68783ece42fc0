"""`dvc.lock` and DVC's hashes: read while nobody writes, and inputs that are not what it recorded are refused."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
import zc.lockfile
from dvc.utils.serialize import dump_yaml
from support import tiny
from support.recorded import lock_of, write_lock

from ldmiss.errors import InputError
from ldmiss_pipeline.artifacts.paths import Item
from ldmiss_pipeline.running import runner
from ldmiss_pipeline.running.lockfile import dvc_hash, load_lock


@pytest.mark.parametrize(
    ("stage", "item", "path"),
    [
        ("train_vae", tiny.CELL, "data/observed/0.5-42.npz"),
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
    with pytest.raises(InputError, match=r"corrupted: its MD5 is .*python -m ldmiss_pipeline verify --remove"):
        runner.run_stage(stage, item)


def test_dvc_hashes_are_those_of_dvc(copy: Path) -> None:
    """Those of a file and of a folder, as DVC itself computes them; temporary files do not count."""
    from dvc_data.hashfile.build import build
    from dvc_data.hashfile.db import HashFileDB
    from dvc_objects.fs import LocalFileSystem

    fs = LocalFileSystem()
    for path in (tiny.CELL.model("vae"), Path("data/imputed/0.5-42/baselines"), Path("data/observed")):
        _, _, found = build(HashFileDB(fs, str(copy / "odb")), str(copy / path), fs, "md5", dry_run=True)
        assert found.hash_info.value == dvc_hash(path)
    before = dvc_hash(Path("data/observed"))
    Path("data/observed/.0.5-42.npz.7.tmp").write_text("half")
    assert dvc_hash(Path("data/observed")) == before


def test_an_unreadable_lock_is_named(tmp_path: Path) -> None:
    """As git leaves it in a merge conflict, or with an entry that is none of DVC's."""
    path = tmp_path / "dvc.lock"
    damaged = ("{deps: [{md5: a}]}", "{deps: 3}", "{params: [1]}", "{outs: [{md5: a}]}", "7")
    for text in ("<<<<<<< HEAD\nstages: {a: [}\n", *(f"stages: {{a: {entry}}}" for entry in damaged)):
        path.write_text(text)
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
