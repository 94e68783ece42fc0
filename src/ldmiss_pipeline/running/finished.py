"""The checkpoints of a finished stage, kept until `dvc.lock` has its outs.

DVC hashes and caches the outs after the stage has ended, and deletes outs that it does not know before it runs the
stage again. So a kill in between would cost the whole stage, were its checkpoints gone; now it costs what came after
the last of them. The next stage that starts removes those whose outs DVC has recorded.
"""

import shutil
from pathlib import Path
from typing import Any

from ldmiss_pipeline.artifacts.json_files import load_checked_json, save_checked_json
from ldmiss_pipeline.artifacts.paths import CHECKPOINTS
from ldmiss_pipeline.running.lockfile import dvc_hash, recorded_work
from ldmiss_pipeline.running.pipeline import StageItem

_MARK = "finished.json"
REMOVED = ".removed-"
"""Start of the name of a folder that is being removed."""


def mark_finished(folder: Path, stage_item: StageItem) -> None:
    """Note in a folder of checkpoints what their work followed from, and which outs it has ended with."""
    deps, outs = ({str(path): dvc_hash(path) for path in paths} for paths in (stage_item.deps, stage_item.outs))
    mark = {"label": stage_item.label, "params": stage_item.params, "deps": deps, "outs": outs}
    save_checked_json(folder / _MARK, mark)


def remove_recorded(lock: dict[str, Any]) -> None:
    """Remove the checkpoints of finished stages that `dvc.lock` has with the same params, dependencies and outs.

    Args:
        lock: the entries of `dvc.lock` by label.
    """
    for mark in CHECKPOINTS.glob(f"*/{_MARK}"):
        try:
            finished = load_checked_json(mark)
        except (ValueError, OSError):  # damaged, or another stage was faster
            continue
        if recorded_work(lock.get(finished.pop("label"))) == finished:
            remove_folder(mark.parent)


def remove_folder(folder: Path) -> None:
    """Remove a folder of checkpoints, in one step for whoever is killed meanwhile."""
    gone = folder.with_name(f"{REMOVED}{folder.name}")
    try:
        folder.rename(gone)
    except OSError:  # another stage was faster
        return
    shutil.rmtree(gone, ignore_errors=True)
