"""Shared by the tests of running: a finished project to change."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def copy(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the finished project to change, as the current directory."""
    folder = tmp_path / "copy"
    shutil.copytree(project, folder, symlinks=True)
    monkeypatch.chdir(folder)
    return folder
