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
from ldmiss_pipeline.running.lockfile import dvc_hash, recorded_hashes
from ldmiss_pipeline.running.pipeline import StageItem

_MARK = "finished.json"


def mark_finished(folder: Path, stage_item: StageItem) -> None:
    """Note in a folder of checkpoints which outs their work has ended with."""
    outs = {str(out): dvc_hash(out) for out in stage_item.outs}
    save_checked_json(folder / _MARK, {"label": stage_item.label, "outs": outs})


def remove_recorded(lock: dict[str, Any]) -> None:
    """Remove the checkpoints of finished stages whose outs are those that `dvc.lock` has.

    Args:
        lock: the entries of `dvc.lock` by label.
    """
    for mark in CHECKPOINTS.glob(f"*/{_MARK}"):
        try:
            finished = load_checked_json(mark)
        except ValueError:
            continue
        if recorded_hashes(lock.get(finished["label"])) == finished["outs"]:
            shutil.rmtree(mark.parent, ignore_errors=True)
