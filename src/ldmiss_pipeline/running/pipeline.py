"""What defines a stage's work, read off `dvc.yaml`: its dependencies, params and outs for one item.

One definition serves DVC, the check of the inputs, the stamps of the artifacts, and the key of the checkpoints.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ldmiss.errors import InputError
from ldmiss.files.atomic import is_temporary
from ldmiss_pipeline.artifacts.paths import Item
from ldmiss_pipeline.config.yaml_files import load_yaml

PIPELINE_FILE = Path("dvc.yaml")
CODE_FOLDERS = {"src": (".py", ".csv"), "stages": (".py",)}
"""Folders of code, and the suffixes of the files that `.dvcignore` leaves in them; hidden ones it never leaves."""


@dataclass(frozen=True)
class StageItem:
    """One item of a stage: its declared dependencies, params (key -> value) and outs."""

    stage: str
    item: Item
    deps: list[Path]
    params: dict[str, Any]
    outs: list[Path]

    @property
    def label(self) -> str:
        """`<stage>@<item>`, the name that DVC gives the item; `<stage>` for a stage that runs once."""
        return label_of(self.stage, self.item)

    @cached_property
    def stamp(self) -> dict[str, str]:
        """What the artifacts of this work say about where they are from: `made_by` and the hash of its `params`."""
        return {"made_by": self.label, "params": _digest(self.params)}

    def check_inputs(self) -> None:
        """Raise InputError for a dependency that is not there, before any long work."""
        for path in self.deps:
            if not path.exists():
                raise InputError(f"{path}: missing input; make it with `dvc repro` (it runs what comes before, too)")

    def key(self, runtime: dict[str, Any]) -> str:
        """Hash of everything that the outs follow from, as hexadecimal.

        Stage, item, params, contents of all dependencies (code and data), and what the work runs on: on another
        machine, or with other threads, the last bits differ.
        """
        digest = hashlib.sha256()
        digest.update(json.dumps([self.label, self.params, runtime], sort_keys=True).encode())
        for path in sorted(files_in(self.deps)):
            with path.open("rb") as file:
                digest.update(f"{path}\0{hashlib.file_digest(file, 'sha256').hexdigest()}".encode())
        return digest.hexdigest()


def label_of(stage: str, item: Item) -> str:
    """`<stage>@<item>`, the name that DVC gives an item of a stage; `<stage>` for a stage that runs once."""
    return f"{stage}@{item.name}" if item.name else stage


class Pipeline:
    """The stages that `dvc.yaml` defines, with the params document that fills in its templates."""

    def __init__(self, document: dict[str, Any], path: Path = PIPELINE_FILE) -> None:
        try:
            self._stages: dict[str, Any] = dict(load_yaml(path)["stages"])
        except (TypeError, KeyError, ValueError):
            raise InputError(f"{path}: has no stages; `git checkout {path}`") from None
        self._document = document

    @property
    def stages(self) -> list[str]:
        """The names of the stages."""
        return list(self._stages)

    def stage_item(self, stage: str, item: Item) -> StageItem:
        """The work of one item of a stage."""
        params = {key: self._value_at(key) for key in self._resolved(stage, "params", item)}
        deps, outs = ([Path(path) for path in self._resolved(stage, key, item)] for key in ("deps", "outs"))
        return StageItem(stage, item, deps, params, outs)

    def cells(self) -> list[Item]:
        """The cells of the grid."""
        rates, seeds = self._value_at("grid.missing_rates"), self._value_at("grid.seeds")
        return [Item(rate, seed) for rate in rates for seed in seeds]

    def items(self, stage: str, cells: list[Item]) -> list[Item]:
        """The items of a stage in the given cells."""
        matrix = self._stages[stage].get("matrix")
        if matrix is None:
            return [Item()]
        if not self._value_at(matrix["seed"].strip("${}")):
            return []  # a model that no chosen method needs
        methods = self._value_at(matrix["method"].strip("${}")) if "method" in matrix else [None]
        return [Item(cell.missing_rate, cell.seed, method) for cell in cells for method in methods]

    def check(self, stage: str, item: Item) -> None:
        """Raise InputError where a stage has no such item: a cell or a method too many, missing, or of other stages."""
        if "matrix" in self._stages[stage] and not self.items(stage, self.cells()):
            raise InputError(f"stage {stage} has no item: no method in sample.methods and impute.methods needs it")
        has_cell = None not in (item.missing_rate, item.seed)
        allowed = self.items(stage, [Item(item.missing_rate, item.seed)])
        if item not in allowed or has_cell != ("matrix" in self._stages[stage]):
            methods = [other.method for other in allowed if other.method]
            wanted = "--missing-rate and --seed" if "matrix" in self._stages[stage] else "no cell"
            wanted += f", and --method of {', '.join(methods)}" if methods else ""
            raise InputError(f"stage {stage} takes {wanted}, got {item.name or 'none'}")

    def producers(self, cells: list[Item]) -> dict[Path, StageItem]:
        """Every out of the given cells, and of the stages that run once -> the work that makes it."""
        return {out: stage_item for stage_item in self.stage_items(cells) for out in stage_item.outs}

    def stage_items(self, cells: list[Item]) -> list[StageItem]:
        """The work of all stages for the given cells, and of the stages that run once, in the order of `dvc.yaml`."""
        return [self.stage_item(stage, item) for stage in self._stages for item in self.items(stage, cells)]

    def _resolved(self, stage: str, key: str, item: Item) -> list[str]:
        fields = {f"item.{name}": str(value) for name, value in vars(item).items()}
        entries = (
            next(iter(entry)) if isinstance(entry, dict) else entry for entry in self._stages[stage].get(key, [])
        )

        def value(match: re.Match[str]) -> str:
            return fields[match[1]] if match[1] in fields else str(self._value_at(match[1]))

        return [re.sub(r"\$\{([\w.]+)\}", value, entry) for entry in entries]

    def _value_at(self, key: str) -> Any:
        value: Any = self._document
        for part in key.split("."):
            value = value[part]
        return value


def files_in(paths: list[Path]) -> Iterator[Path]:
    """The files among the paths and in the folders among them, as DVC sees them (`.dvcignore` says the same).

    Of folders of code, those are the code and the tables it reads. Temporary files are never among them.
    """
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        suffixes = CODE_FOLDERS.get(path.parts[0]) if path.parts else None
        for file in path.rglob("*"):
            is_code = suffixes and file.suffix in suffixes and not file.name.startswith(".")
            if file.is_file() and not is_temporary(file) and (suffixes is None or is_code):
                yield file


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
