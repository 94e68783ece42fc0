"""`python -m ldmiss_pipeline verify` finds what is not as recorded, and removes it."""

import shutil
from pathlib import Path

import pytest
from support import tiny
from support.recorded import lock_of, write_lock

from ldmiss_pipeline.running import verify
from ldmiss_pipeline.running.lockfile import dvc_hash


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
