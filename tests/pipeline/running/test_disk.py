"""One look at the disk before a grid runs."""

import shutil
from types import SimpleNamespace

import pytest
from support.imports import ROOT

from ldmiss_pipeline.running.disk import GB_PER_CELL, warning_of_little_space


def test_every_profile_has_its_number() -> None:
    """As conf/ names them."""
    assert set(GB_PER_CELL) == {path.stem for path in (ROOT / "conf/profile").glob("*.yaml")}


def test_too_little_space_is_warned_about(monkeypatch: pytest.MonkeyPatch) -> None:
    """By profile and number of cells; nothing is said where there is enough, or of a profile that is not known."""

    def warning(free_gb: float, profile: str = "paper", num_cells: int = 18) -> str | None:
        monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=free_gb * 1e9))
        return warning_of_little_space(profile, num_cells)

    assert warning(15.1) == "the disk has 15.1 GB free; 18 cells of profile paper take up to 15.2 GB"
    assert warning(15.3) is None
    assert warning(15.1, num_cells=17) is None
    assert warning(0.0, profile="one of mine") is None
