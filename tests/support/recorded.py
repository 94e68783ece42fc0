"""What DVC would have recorded of a project's items, without DVC."""

from pathlib import Path
from typing import Any

import yaml

from ldmiss_pipeline.artifacts.paths import Item
from ldmiss_pipeline.running.lockfile import dvc_hash
from ldmiss_pipeline.running.pipeline import Pipeline


def lock_of(items: list[tuple[str, Item]]) -> dict[str, Any]:
    """What DVC would have in dvc.lock for these items in the current directory."""
    pipeline = Pipeline(yaml.safe_load(Path("params.yaml").read_text()))
    stage_items = [pipeline.stage_item(stage, item) for stage, item in items]
    return {
        stage_item.label: {
            "deps": [{"path": str(dep), "md5": dvc_hash(dep)} for dep in stage_item.deps],
            "params": {"params.yaml": stage_item.params},
            "outs": [{"path": str(out), "md5": dvc_hash(out)} for out in stage_item.outs],
        }
        for stage_item in stage_items
    }


def write_lock(stages: dict[str, Any]) -> None:
    """A dvc.lock with these entries."""
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
