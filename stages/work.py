"""What defines a stage's work, read off `dvc.yaml`: its dependencies, params and outs for one item.

One definition serves DVC, the check that inputs exist, and the key of the checkpoints.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ldmiss.errors import InputError
from stages.paths import CHECKPOINTS, Item

PIPELINE_FILE = Path("dvc.yaml")


@dataclass(frozen=True)
class Work:
    """A stage's declared dependencies, params (key -> value) and outs."""

    deps: list[Path]
    params: dict[str, Any]
    outs: list[Path]

    def check_inputs(self) -> None:
        """Raise InputError for a dependency that is not there, before any long work."""
        for path in self.deps:
            if not path.exists():
                raise InputError(f"{path}: missing input; make it with `dvc repro` (it runs what comes before, too)")

    def checkpoint_folder(self, stage: str, item: Item, runtime: dict[str, Any]) -> Path:
        """`ckpt/<hash of stage, item, params, contents of all dependencies and the runtime>`."""
        digest = hashlib.sha256(json.dumps([stage, item.name, self.params, runtime], sort_keys=True).encode())
        for path in sorted(_files(self.deps)):
            digest.update(str(path).encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
        return CHECKPOINTS / digest.hexdigest()[:32]


def declared_work(stage: str, item: Item, document: dict[str, Any]) -> Work:
    """The work of one item of a stage, from `dvc.yaml` and the plain params document."""
    definition = yaml.safe_load(PIPELINE_FILE.read_text())["stages"][stage]
    fields = {f"item.{key}": str(value) for key, value in vars(item).items()}

    def resolved(key: str) -> list[str]:
        entries = (next(iter(entry)) if isinstance(entry, dict) else entry for entry in definition.get(key, []))
        return [
            re.sub(r"\$\{([\w.]+)\}", lambda match: _lookup(match[1], fields, document), entry) for entry in entries
        ]

    params = {key: _value_at(document, key) for key in resolved("params")}
    return Work([Path(path) for path in resolved("deps")], params, [Path(path) for path in resolved("outs")])


def _lookup(name: str, fields: dict[str, str], document: dict[str, Any]) -> str:
    return fields[name] if name in fields else str(_value_at(document, name))


def _value_at(document: dict[str, Any], key: str) -> Any:
    value: Any = document
    for part in key.split("."):
        value = value[part]
    return value


def _files(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from (file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
        else:
            yield path
