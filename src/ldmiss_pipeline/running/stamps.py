"""Where inputs are from: their stamps against the params, and their contents against what DVC recorded.

Every artifact of ours says in its metadata which item of which stage made it, and with which params
(`StageItem.stamp`). So a model of another cell, or one that older params made, is refused by name, with DVC or without.
Under DVC the contents are hashed as well (`lockfile.check_recorded`).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ldmiss.errors import InputError
from ldmiss_pipeline.artifacts.arrays import load_array_metadata
from ldmiss_pipeline.artifacts.json_files import load_checked_json
from ldmiss_pipeline.running.pipeline import StageItem, files_in


def _tensor_metadata(path: Path) -> dict[str, Any]:
    from ldmiss.files.tensors import load_metadata  # imports torch, which stages without models start without

    return load_metadata(path)


_METADATA_READERS: dict[str, Callable[[Path], dict[str, Any]]] = {
    ".safetensors": _tensor_metadata,
    ".npz": load_array_metadata,
    ".json": lambda path: dict(load_checked_json(path).get("stamp", {})),
}
_UNSTAMPED = ("download", "train_classifier")
"""Raw data are checked by their hashes, the classifier by that of its weights: it may be a committed file."""


def check_stamps(stage_item: StageItem, producers: dict[Path, StageItem]) -> None:
    """Refuse inputs that were made for another cell, or with params that are no longer those of the document.

    Args:
        stage_item: whose dependencies are checked.
        producers: from `Pipeline.producers`.

    Raises:
        InputError: names the file, what it is and what was expected; or the file is corrupted.
    """
    for path in files_in(stage_item.deps):
        producer = next((producers[out] for out in (path, *path.parents) if out in producers), None)
        if producer is None or producer.stage in _UNSTAMPED or path.suffix not in _METADATA_READERS:
            continue
        metadata = _METADATA_READERS[path.suffix](path)
        if lacking := [key for key in producer.stamp if key not in metadata]:
            raise InputError(f"{path}: its metadata do not say {' and '.join(lacking)}; {_again(producer)}")
        made_by, params = (metadata[key] for key in producer.stamp)
        if made_by != producer.stamp["made_by"]:
            raise InputError(f"{path}: made by {made_by}, expected one of {producer.label}; {_again(producer)}")
        if params != producer.stamp["params"]:
            raise InputError(f"{path}: made with other params than {producer.label} has now; {_again(producer)}")


def _again(producer: StageItem) -> str:
    return f"make it again with `dvc repro {producer.label}`"
