"""A data set that the stages cannot do is refused where it is obtained, not by a traceback in a later stage."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import tiny

from ldmiss.errors import InputError
from ldmiss_pipeline.artifacts.paths import RAW, Item
from ldmiss_pipeline.datasets.dataset import Split
from ldmiss_pipeline.datasets.registry import DATASETS
from ldmiss_pipeline.running.runner import run_stage

LABELS = np.arange(12) % 10


def images(*shape: int, dtype: Any = np.uint8) -> np.ndarray[Any, Any]:
    return np.zeros(shape, dtype)


GREY = images(12, 1, 28, 28)
KNOWN = np.ones(GREY.shape, bool)
NAN = np.where(np.arange(28) == 3, np.nan, GREY.astype(np.float32))
ANY: dict[str, Any] = {"shape": None}
"""A data set of which only the files say what shape its images have."""
REFUSED: list[tuple[Split, dict[str, Any], str]] = [
    (Split(images(12, 28, 28), LABELS), {}, r"images are uint8 \(12, 28, 28\); allowed: real numbers \(N, C, H, W\)"),
    (Split(images(0, 1, 28, 28), LABELS[:0]), {}, r"images are uint8 \(0, 1, 28, 28\)"),
    (Split(images(12, 0, 28, 28), LABELS), ANY, r"images are uint8 \(12, 0, 28, 28\)"),
    (Split(images(12, 1, 28, 7), LABELS), ANY, r"images are uint8 \(12, 1, 28, 7\); .*H and W at least 8"),
    (Split(images(12, 1, 28, 28, dtype=complex), LABELS), ANY, r"images are complex128"),
    (Split(images(12, 1, 28, 28, dtype=bool), LABELS), ANY, r"images are bool"),
    (Split(images(12, 3, 28, 28), LABELS), {}, r"images are uint8 \(12, 3, 28, 28\); .* data set: \(N, 1, 28, 28\)"),
    (Split(GREY, LABELS[:11]), {}, r"labels are int64 \(11,\); allowed: int64 \(12,\)"),
    (Split(GREY, LABELS.astype(np.int32)), {}, r"labels are int32 \(12,\)"),
    (Split(GREY, LABELS + 1), {}, "labels from 1 to 10; allowed: 0 to 9"),
    (Split(GREY, LABELS - 1), {}, "labels from -1 to 8"),
    (Split(GREY, LABELS), {"num_classes": 9}, "labels from 0 to 9; allowed: 0 to 8"),
    (Split(GREY), {}, "no labels, but the data set has 10 classes"),
    (Split(GREY, LABELS), {"num_classes": None}, "labels, but the data set has no classes"),
    (Split(GREY, LABELS, KNOWN[:11]), {}, r"observed is bool \(11, 1, 28, 28\); allowed: bool \(12, 1, 28, 28\)"),
    (Split(GREY, LABELS, KNOWN.astype(np.uint8)), {}, r"observed is uint8 \(12, 1, 28, 28\)"),
    (Split(NAN, LABELS), {}, "NaN or infinite values at known pixels"),
    (Split(NAN, LABELS, KNOWN), {}, "NaN or infinite values at known pixels"),
    (Split(GREY, LABELS, rows=np.arange(11)), {}, r"rows are int64 \(11,\); allowed: int64 \(12,\)"),
    (Split(GREY, LABELS, rows=np.arange(12.0)), {}, r"rows are float64 \(12,\)"),
]  # fmt: skip
TAKEN: dict[str, tuple[Split, dict[str, Any]]] = {
    "grey": (Split(GREY, LABELS), {}),
    "colour": (Split(images(12, 3, 33, 20)), {"shape": (3, 33, 20), "num_classes": None}),
    "smallest": (Split(images(1, 1, 8, 8, dtype=np.uint16)), {"shape": None, "num_classes": None}),
    "incomplete": (Split(NAN, LABELS, np.isfinite(NAN), np.arange(12)), {}),
}


def downloaded(folder: Path, split: Split, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the stage with a data set of which both splits are this one."""
    changed = dataclasses.replace(
        DATASETS["mnist5k"], download=lambda into: into.mkdir(parents=True), load=lambda folder, name: split
    )
    monkeypatch.chdir(tiny.make_project(folder / "project", {}))
    monkeypatch.setitem(DATASETS, "mnist5k", changed)  # the shape that params are checked against stays
    monkeypatch.setattr("ldmiss_pipeline.config.schema.document.DATASETS", dict(DATASETS))
    monkeypatch.setitem(DATASETS, "mnist5k", dataclasses.replace(changed, **changes))
    run_stage("download", Item())


@pytest.mark.parametrize(("split", "changes", "message"), REFUSED, ids=[message for *_, message in REFUSED])
def test_what_no_stage_can_do_is_refused(
    split: Split, changes: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line that names the data set, the split, what it holds and what is allowed."""
    with pytest.raises(InputError, match=f"data set 'mnist5k', split 'train': {message}") as caught:
        downloaded(tmp_path, split, changes, monkeypatch)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", TAKEN)
def test_the_rest_is_taken(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Grey, colour, small, incomplete: NaN where a pixel is not known is no matter."""
    downloaded(tmp_path, *TAKEN[name], monkeypatch)
    assert (RAW / "mnist5k").is_dir()
