"""Pieces: the metrics of one method's samples, or of one method's imputations, in one cell, each in files of its own.

A piece is kept under the hash of the params that its metrics follow from (`params_sha256`), so that those of another
protocol are never mixed in. `<label>.json` has the metrics, the cell's facts and where they are from; `<label>.npz` the
images for the figures, the feature statistics and the loss curves.
"""

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ldmiss.errors import InputError
from stages.context import Context
from stages.evaluate import Evaluation, Measured, cell_metrics, image_files, params_sha256
from stages.io import load_array_facts, load_arrays, load_checked_json, save_arrays, save_checked_json
from stages.paths import Item
from stages.plot import load_curve
from stages.slices.baggage import is_rounded
from stages.work import Work

_TASKS = {"sample": "generation", "impute": "imputation"}
_SHARED = ("sha256", "dataset", "fid_layer")


@dataclass(frozen=True)
class Piece:
    """A piece that was read back.

    Attributes:
        task: "generation" or "imputation".
        item: cell and method.
        measured: metrics, and all arrays.
        facts: of the cell, as `Evaluation.facts`.
        origin: commit, device, date, ...
    """

    task: str
    item: Item
    measured: Measured
    facts: dict[str, Any]
    origin: dict[str, Any]


class Pieces:
    """The pieces of one params document in results folders: the first is written to, all are looked in."""

    def __init__(self, params: Any, *folders: Path) -> None:
        self.sha256 = params_sha256(params)
        self.folders = [folder / "pieces" / self.sha256[:12] for folder in folders]

    def has(self, work: Work) -> bool:
        """Whether a work's outs were measured, here or in an earlier slice."""
        return any((folder / f"{work.label}.json").is_file() for folder in self.folders)

    def write(self, work: Work, context: Context, evaluation: Evaluation, origin: dict[str, Any]) -> None:
        """Measure what a work made.

        Args:
            work: of stage `sample` or `impute`.
            context: of `evaluate` in its cell.
            evaluation: of that context.
            origin: command, commit and machine; the rest is found out here.
        """
        path = self.folders[0] / f"{work.label}.json"
        (out,) = work.outs
        generated = work.stage == "sample"
        measured = evaluation.samples(out) if generated else evaluation.imputed(out)
        arrays: dict[str, NDArray[Any]] = {**measured.sheet, **({} if generated else evaluation.truth())}
        for images in [out] if generated else image_files(out):
            arrays |= evaluation.statistics(images)
        models = [model for name in _models(work.item) if (model := work.item.model(name)).is_file()]
        for name in _models(work.item):
            if (curve := work.item.curve(name)).is_file():
                arrays[f"curve/{name}"] = np.array(load_curve(curve))
        save_arrays(path.with_suffix(".npz"), facts={"names": sorted(arrays)}, **arrays)
        piece = {
            "made_by": work.label, "params_sha256": self.sha256, "task": _TASKS[work.stage],
            "item": vars(work.item), "metrics": measured.metrics, "facts": evaluation.facts(),
            "origin": {
                **origin, **context.runtime.record(), "python": platform.python_version(),
                "time": datetime.now(UTC).isoformat(timespec="seconds"),
                "rounded": [str(model) for model in models if is_rounded(model)],
            },
        }  # fmt: skip
        save_checked_json(path, piece)  # last: without it the piece is not there

    def read(self) -> list[Piece]:
        """All pieces of these params, in the order of their names."""
        found = {path.name: path for folder in self.folders for path in folder.glob("*.json")}
        return [_read(found[name]) for name in sorted(found)]


def _models(item: Item) -> list[str]:
    """The models that a method's images may rest on."""
    method = str(item.method)
    return ["vae", method] if method in ("ldmiss", "baselines") else [method]


def _read(path: Path) -> Piece:
    piece = load_checked_json(path)
    names = load_array_facts(path.with_suffix(".npz"))["names"]
    arrays = dict(zip(names, load_arrays(path.with_suffix(".npz"), *names), strict=True))
    measured = Measured(piece["metrics"], arrays)
    return Piece(piece["task"], Item(**piece["item"]), measured, piece["facts"], piece["origin"])


def cell_of(pieces: Sequence[Piece], methods: Sequence[str], stamp: dict[str, str]) -> dict[str, Any]:
    """What `evaluate` writes of a cell, from its pieces (not all methods need be there).

    Args:
        pieces: of one cell.
        methods: the order of the methods.
        stamp: of the cell's `evaluate`.

    Raises:
        InputError: the pieces were measured with other classifiers, or in other settings.
    """
    first, ordered = pieces[0], sorted(pieces, key=lambda piece: methods.index(str(piece.item.method)))
    for piece in pieces:
        if _comparable(piece) != _comparable(first):
            raise InputError(
                f"{piece.item.name}: the {piece.task} of {piece.item.method} and the {first.task} of "
                f"{first.item.method} were measured by different classifiers or settings"
            )
    by_task = {task: [piece.measured for piece in ordered if piece.task == task] for task in _TASKS.values()}
    return cell_metrics(first.facts, by_task["generation"], by_task["imputation"], stamp)


def _comparable(piece: Piece) -> tuple[Any, ...]:
    return piece.facts["run"], [piece.facts["classifier"].get(name) for name in _SHARED]
