"""A data set that the stages cannot do is refused where it is obtained, not by a traceback in a later stage."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import tiny

from ldmiss.errors import InputError
from ldmiss_pipeline.artifacts.paths import RAW, Item
from ldmiss_pipeline.datasets.dataset import Images
from ldmiss_pipeline.datasets.registry import DATASETS
from ldmiss_pipeline.running.runner import run_stage

LABELS = np.arange(12) % 10


def images(*shape: int, dtype: Any = np.uint8) -> np.ndarray[Any, Any]:
    return np.zeros(shape, dtype)


GREY = images(12, 28, 28)
REFUSED = [
    (Images(images(12, 28, 28, 3), LABELS), r"images are uint8 \(12, 28, 28, 3\); allowed for now: grey ones of 28 x"),
    (Images(images(12, 3, 28, 28), LABELS), r"images are uint8 \(12, 3, 28, 28\)"),
    (Images(images(12, 32, 32), LABELS), r"images are uint8 \(12, 32, 32\); .*of 28 x 28 pixels, uint8 \(N, 28, 28\)"),
    (Images(images(12, 28, 32), LABELS), r"images are uint8 \(12, 28, 32\)"),
    (Images(images(12, 28, 28, dtype=np.float32), LABELS), r"images are float32 \(12, 28, 28\)"),
    (Images(images(0, 28, 28), LABELS[:0]), r"images are uint8 \(0, 28, 28\)"),
    (Images(GREY, LABELS[:11]), r"labels are int64 \(11,\); allowed: int64 \(12,\)"),
    (Images(GREY, LABELS.astype(np.int32)), r"labels are int32 \(12,\)"),
    (Images(GREY, LABELS + 1), "labels from 1 to 10; allowed for now: 0 to 9"),
    (Images(GREY, LABELS - 1), "labels from -1 to 8"),
]


def downloaded(folder: Path, split: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the stage with a data set of which both splits are this one."""
    changed = dataclasses.replace(
        DATASETS["mnist5k"], download=lambda into: into.mkdir(parents=True), load=lambda folder, name: split
    )
    monkeypatch.setitem(DATASETS, "mnist5k", changed)
    monkeypatch.chdir(tiny.make_project(folder / "project", {}))
    run_stage("download", Item())


@pytest.mark.parametrize(("split", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_no_stage_can_do_is_refused(
    split: Images, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line that names the data set, the split, what it holds and what is allowed."""
    with pytest.raises(InputError, match=f"data set 'mnist5k', split 'train': {message}") as caught:
        downloaded(tmp_path, split, monkeypatch)
    assert "\n" not in str(caught.value)


def test_grey_images_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same with what is allowed."""
    downloaded(tmp_path, Images(GREY, LABELS), monkeypatch)
    assert (RAW / "mnist5k").is_dir()
