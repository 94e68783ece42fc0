"""`python -m ldmiss_pipeline verify` finds what is not as recorded, and removes it."""

import shutil
from pathlib import Path

import pytest
from support import tiny
from support.recorded import lock_of, write_lock

from ldmiss_pipeline.artifacts.paths import Item
from ldmiss_pipeline.config.registry import METHODS
from ldmiss_pipeline.running import verify
from ldmiss_pipeline.running.lockfile import dvc_hash


def test_verify_finds_and_removes(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Outs and cache objects are hashed again; a file mode of 0444 does not help."""
    write_lock(lock_of([("download", Item()), *tiny.ITEMS]))
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


def test_verify_counts_what_it_checked_and_names_what_is_absent(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing found wrong where nothing is there is no good news: a fresh clone, or after `rm -r`."""
    write_lock(lock_of([("download", Item()), *tiny.ITEMS]))
    monkeypatch.setattr(verify, "cache_folder", lambda: copy / "cache")
    assert verify.main([]) == 0
    num_outs = len(verify.all_outs())
    assert capsys.readouterr().out == f"verify: {num_outs} outs and 0 objects of DVC's cache are as recorded\n"
    lock = lock_of([("download", Item()), *tiny.ITEMS])
    del lock["train_ldm@0.5-42"]
    write_lock(lock)
    assert verify.main([]) == 1
    assert "not in dvc.lock: models/ldmiss/0.5-42.safetensors\n" in capsys.readouterr().out
    write_lock(lock_of([("download", Item()), *tiny.ITEMS]))
    shutil.rmtree("models/ddpm")
    shutil.rmtree("data/imputed")
    assert verify.main([]) == 1
    output = capsys.readouterr().out
    assert "absent: models/ddpm/0.5-42.safetensors\n" in output
    assert f"not verified: {1 + len(METHODS)} of {num_outs} outs of params.yaml" in output
    for folder in ("data", "models", "metrics", "plots"):
        shutil.rmtree(folder)
    Path("dvc.lock").unlink()
    assert verify.main([]) == 1
    assert f"not verified: {num_outs} of {num_outs} outs" in capsys.readouterr().out
