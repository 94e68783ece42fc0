"""The outs that are kept until DVC has recorded them: which go, and when."""

from pathlib import Path
from typing import Any

import pytest

from ldmiss_pipeline.artifacts.paths import Item
from ldmiss_pipeline.running import uncommitted
from ldmiss_pipeline.running.lockfile import dvc_hash
from ldmiss_pipeline.running.pipeline import Work

MODEL = Path("models/vae/0.5-42.safetensors")
FINISHED = Work("train_vae", Item(0.5, 42), [], {}, [MODEL])
OTHER = Work("encode_latents", Item(0.5, 42), [], {}, [])


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a work that has finished for the second time, after DVC had recorded it."""
    monkeypatch.chdir(tmp_path)
    MODEL.parent.mkdir(parents=True)
    MODEL.write_text("weights")
    folder = Path("ckpt/train_vae@0.5-42-0123456789abcdef")
    uncommitted.keep(folder, FINISHED, entry(dvc_hash(MODEL)))
    return folder


def entry(md5: str, cmd: str = "python") -> dict[str, Any]:
    """What `dvc.lock` says of the work."""
    return {"cmd": cmd, "outs": [{"path": str(MODEL), "md5": md5}]}


def test_outs_go_when_their_entry_has_changed(kept: Path) -> None:
    """Also before the same work runs again: DVC has recorded them, and runs it because something else has changed."""
    uncommitted.remove_recorded({FINISHED.label: entry("0" * 32, cmd="python3")}, FINISHED)
    assert not kept.exists()


def test_outs_made_again_go_with_the_next_stage(kept: Path) -> None:
    """The entry is as before, since the bytes are; the next stage runs only because DVC has recorded them."""
    uncommitted.remove_recorded({FINISHED.label: entry(dvc_hash(MODEL))}, OTHER)
    assert not kept.exists()


def test_outs_made_again_come_back_after_a_kill(kept: Path) -> None:
    """DVC deletes outs and runs the work again only if it has not recorded them."""
    lock = {FINISHED.label: entry(dvc_hash(MODEL))}
    MODEL.unlink()
    uncommitted.remove_recorded(lock, FINISHED)
    assert uncommitted.restore(kept, FINISHED)
    assert MODEL.read_text() == "weights"


def test_other_outs_under_the_old_entry_stay(kept: Path) -> None:
    """The entry is still that of other bytes: not recorded yet, whatever runs."""
    uncommitted.keep(kept, FINISHED, entry("0" * 32))
    uncommitted.remove_recorded({FINISHED.label: entry("0" * 32)}, OTHER)
    assert kept.exists()
