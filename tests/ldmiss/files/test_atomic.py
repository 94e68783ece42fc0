"""Atomic writes: the earlier file or the new one, never half of one."""

import errno
from pathlib import Path
from typing import Any

import pytest

from ldmiss.files.atomic import atomic_write, is_temporary, save_text, sweep_temporaries


def test_a_failed_write_leaves_the_earlier_file(tmp_path: Path) -> None:
    """A full disk in the middle of writing: the old content stays, no temporary file, and the error names the file."""
    path = tmp_path / "x.json"
    save_text(path, "old")

    def fail(file: Any) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left") as error:
        atomic_write(path, fail)
    assert error.value.filename == str(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_kill_left_is_swept(tmp_path: Path) -> None:
    """The temporaries of one file, or of all files below a folder; nothing else."""
    names = (".x.json.1.tmp", ".y.json.1.tmp", "x.json", "x.tmp")
    for folder in (tmp_path, tmp_path / "deep"):
        folder.mkdir(exist_ok=True)
        for name in names:
            save_text(folder / name, "")
    assert [is_temporary(tmp_path / name) for name in names] == [True, True, False, False]
    sweep_temporaries(tmp_path / "x.json")
    assert not (tmp_path / names[0]).exists()
    assert (tmp_path / names[1]).exists()
    sweep_temporaries(tmp_path)
    for folder in (tmp_path, tmp_path / "deep"):
        assert {path.name for path in folder.iterdir() if path.is_file()} == {"x.json", "x.tmp"}
