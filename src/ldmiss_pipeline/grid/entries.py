"""What DVC recorded of the cells, from the workers' `dvc.lock` into the coordinator's, written as DVC writes it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dvc.utils.serialize import dump_yaml

from ldmiss_pipeline.artifacts.json_files import load_json
from ldmiss_pipeline.running.lockfile import LOCK_FILE, load_lock


def recorded(labels: Sequence[str]) -> dict[str, Any]:
    """The entries of these labels in dvc.lock."""
    entries = load_lock()
    return {label: entries[label] for label in labels}


def merge(files: Sequence[Path]) -> list[Path]:
    """Put entries from JSON files into dvc.lock, in one go: DVC's own run writes all of it anew for each stage.

    DVC checks every entry against code, params and data as ever: what does not fit is run again.

    Returns:
        The outs of what was put there.
    """
    new = {label: entry for path in files for label, entry in load_json(path).items()}
    temporary = LOCK_FILE.with_name(f".{LOCK_FILE.name}.tmp")
    dump_yaml(str(temporary), {"schema": "2.0", "stages": load_lock() | new})
    temporary.replace(LOCK_FILE)
    return [Path(out["path"]) for entry in new.values() for out in entry["outs"]]
