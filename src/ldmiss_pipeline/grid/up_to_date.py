"""Which stages DVC will not run again, without asking DVC, which would read the whole pipeline for each of them."""

from pathlib import Path
from typing import Any

from ldmiss_pipeline.running.lockfile import dvc_hash, recorded_work
from ldmiss_pipeline.running.pipeline import CODE_FOLDERS, StageItem


class UpToDate:
    """Stages that are up to date, as far as can be told without hashing data.

    Such a stage is in `dvc.lock` with the same params and the same dependencies, its code (files and folders) has the
    recorded hashes, its outs are there, and the stages that it depends on are up to date.

    Args:
        lock: the entries of `dvc.lock` by label.
    """

    def __init__(self, lock: dict[str, Any]) -> None:
        self._lock = lock
        self._outdated: set[Path] = set()
        self._hashes: dict[Path, str] = {}

    def check(self, item: StageItem) -> bool:
        """Whether an item is up to date; to be asked in the order of the pipeline."""
        recorded = recorded_work(self._lock.get(item.label))
        is_current = (
            recorded["params"] == item.params
            and all(out.exists() for out in item.outs)
            and all(
                str(dep) in recorded["deps"] and self._unchanged(dep, recorded["deps"][str(dep)]) for dep in item.deps
            )
            and not any(made == dep or dep in made.parents for made in self._outdated for dep in item.deps)
        )
        if not is_current:
            self._outdated |= set(item.outs)
        return is_current

    def _unchanged(self, path: Path, recorded: str | None) -> bool:
        if path.parts[0] not in CODE_FOLDERS or not path.exists():
            return path.exists()
        if path not in self._hashes:
            self._hashes[path] = dvc_hash(path)
        return self._hashes[path] == recorded
