"""A worker's folder is never taken for abandoned, and one that is goes away."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from ldmiss_pipeline.grid import clone


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_worker_that_looks_while_another_begins(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the moment between making the file of the lock and locking it: the folder has no name to be found by yet."""
    looked: list[str] = []

    class Watched(FileLock):
        def acquire(self, *arguments: Any, **more: Any) -> Any:
            if not looked:
                looked.append(self.lock_file)
                Path(self.lock_file).touch()
                clone.remove_abandoned()
            return super().acquire(*arguments, **more)

    monkeypatch.setattr(clone, "FileLock", Watched)
    with clone._folder_of_ours() as folder:
        assert (folder / "lock").exists()
    assert looked


def test_an_abandoned_folder_is_removed(temporary: Path) -> None:
    """Nobody holds its lock any more; one that is held stays."""
    (temporary / "ldmiss-worker-dead").mkdir()
    (temporary / "ldmiss-worker-dead/lock").touch()
    with clone._folder_of_ours() as folder:
        clone.remove_abandoned()
        assert [path for path in temporary.iterdir() if path.name.startswith("ldmiss-")] == [folder]
