"""A damaged file of any kind is refused by name, or gives what it gave before: no other value, no traceback."""

import gzip
import hashlib
import importlib
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hypothesis import strategies as st
from support import tiny
from support.cases import for_all, num_cases, refusal
from support.corruption import CHANGES, Change, Damaged, corrupted
from support.imports import ROOT

from ldmiss.errors import InputError
from ldmiss.files.tensors import load_tensors
from ldmiss_pipeline.artifacts.arrays import load_array_metadata, load_arrays
from ldmiss_pipeline.artifacts.json_files import load_checked_json
from ldmiss_pipeline.artifacts.observed import load_observed
from ldmiss_pipeline.artifacts.paths import CLASSIFIER, CLASSIFIER_METADATA, RAW
from ldmiss_pipeline.compute.device import resolve
from ldmiss_pipeline.config import params
from ldmiss_pipeline.config.registry import METHODS
from ldmiss_pipeline.datasets import mnist
from ldmiss_pipeline.datasets.registry import load_split
from ldmiss_pipeline.models.classifier import load_classifier_metadata, restore_classifier, restore_committed
from ldmiss_pipeline.running.checkpoint import FileCheckpoint
from ldmiss_pipeline.running.finished import mark_finished, remove_recorded
from ldmiss_pipeline.running.lockfile import load_lock, recorded_work
from ldmiss_pipeline.running.pipeline import Pipeline, StageItem
from ldmiss_pipeline.running.stamps import check_stamps
from stages import plot

CELL = tiny.CELL
LABELS = Path("data/raw/mnist/t10k-labels-idx1-ubyte.gz")
COMMITTED = Path("assets/classifier-mnist.safetensors")
SLOT = Path("ckpt/slots/vae.safetensors")
FINISHED = Path("ckpt/finished/finished.json")
LOCK = Path("dvc.lock")
IMAGE_GRID = ["truth", "observed", "known", "samples/ddpm", "imputed/mean", "reliability/ddpm-guidance"]


def frozen(value: Any) -> Any:
    """A form that compares by content: arrays and tensors as type, shape and bytes."""
    if isinstance(value, torch.Tensor):
        value = value.numpy()
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, dict):
        return {key: frozen(part) for key, part in value.items()}
    return [frozen(part) for part in value] if isinstance(value, list | tuple) else value


def read_model(kind: str, path: Path) -> Any:
    """A model as sampling and imputing load it."""
    typed, _ = params.load()
    runtime = resolve(typed.compute)
    module = importlib.import_module(METHODS[kind])
    assert module.load_imputers(CELL, typed, runtime)
    return load_tensors(path, kind=kind)


def read_classifier(path: Path) -> Any:
    """Facts and weights as `evaluate` reads them, whichever of the two files is damaged."""
    del path
    metadata = load_classifier_metadata(CLASSIFIER_METADATA)
    return metadata, restore_classifier(CLASSIFIER, torch.device("cpu"), sha256=metadata["sha256"]).state_dict()


def read_committed(path: Path) -> Any:
    """The classifier that lies in git."""
    classifier, metadata = restore_committed(path, torch.device("cpu"), dataset="mnist")
    return classifier.state_dict(), metadata


def read_observed(path: Path) -> Any:
    """Images, indicators and metadata."""
    return load_observed(path), load_array_metadata(path)


def read_labels(path: Path) -> Any:
    """MNIST's, whose other files are whole."""
    return load_split(path.parent.name, RAW, "test").labels


def read_raw(path: Path) -> Any:
    """A split of the embedded digits."""
    split = load_split(path.parent.name, RAW, path.stem)
    return split.images, split.labels


READERS: dict[Path, Callable[[Path], Any]] = {
    Path("data/raw/mnist5k/train.npz"): read_raw,
    LABELS: read_labels,
    CELL.observed(): read_observed,
    CELL.latents(): partial(load_tensors, kind="latents"),
    **{CELL.model(name): partial(read_model, name) for name in METHODS},
    CLASSIFIER: read_classifier,
    CLASSIFIER_METADATA: read_classifier,
    COMMITTED: read_committed,
    CELL.samples("ddpm"): lambda path: load_arrays(path, "images"),
    CELL.imputed("ddpm") / "ddpm-guidance.npz": lambda path: load_arrays(path, "images", "rows", "subset", "draws"),
    CELL.metrics(): load_checked_json,
    CELL.image_grid(): lambda path: load_arrays(path, *IMAGE_GRID),
}
"""Every kind of file that checks itself -> how the stage that consumes it reads it."""


@pytest.fixture(scope="module")
def damaged_project(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the finished project with the kinds of files that a finished one has no more, or never had."""
    folder = tmp_path_factory.mktemp("damaged") / "project"
    shutil.copytree(project, folder, symlinks=True)
    shutil.copy(ROOT / COMMITTED, folder / COMMITTED)
    (folder / LABELS).parent.mkdir()
    for name, shape in (("images-idx3", (24, 28, 28)), ("labels-idx1", (24,))):
        header = bytes([0, 0, 8, len(shape)]) + np.array(shape, ">u4").tobytes()
        pixels = np.random.default_rng(0).integers(0, 10, shape, np.uint8).tobytes()
        (folder / LABELS.with_name(f"t10k-{name}-ubyte.gz")).write_bytes(gzip.compress(header + pixels, mtime=0))
    return folder


@pytest.fixture
def copy(damaged_project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That project as the current directory; what a test damages, it mends."""
    monkeypatch.chdir(damaged_project)
    for path in LABELS.parent.iterdir():
        monkeypatch.setitem(mnist.FILES.checksums, path.name, hashlib.md5(path.read_bytes()).hexdigest())
    return damaged_project


@num_cases(fast=40, slow=1600)
def test_a_damaged_file_is_refused_by_name_or_read_as_before(num_cases: int, copy: Path) -> None:
    """Every kind of artifact, through what the consuming stage reads it with."""
    clean = {path: frozen(read(path)) for path, read in READERS.items()}
    refused: list[Path] = []

    def check(path: Path, changes: list[Change]) -> None:
        with Damaged(path, corrupted(path.read_bytes(), changes)):
            try:
                assert frozen(READERS[path](path)) == clean[path]
            except InputError as error:
                refusal(error, names=path.name if path != CLASSIFIER_METADATA else str(CLASSIFIER.with_suffix("")))
                refused.append(path)

    for_all(num_cases, check, path=st.sampled_from(list(READERS)), changes=CHANGES)
    assert num_cases < 100 or set(refused) == set(READERS)


@num_cases(fast=10, slow=200)
def test_another_file_in_its_place_is_refused_by_name(num_cases: int, copy: Path) -> None:
    """Swapped within and across formats, or empty. (Another cell's file of the same kind: running/test_stamps.py.)"""
    clean = {path: frozen(read(path)) for path, read in READERS.items()}
    producers = Pipeline(params.load()[1]).producers([CELL])

    def check(path: Path, other: Path | None) -> None:
        with Damaged(path, other.read_bytes() if other else b""):
            try:
                check_stamps(StageItem("consumer", CELL, [path], {}, []), producers)
                assert frozen(READERS[path](path)) == clean[path]
            except InputError as error:
                refusal(error, names=path.name if path != CLASSIFIER_METADATA else str(CLASSIFIER.with_suffix("")))
            else:
                assert other == path

    kinds = st.sampled_from(list(READERS))
    for_all(num_cases, check, path=kinds, other=st.none() | kinds | st.just(Path("params.yaml")))


@num_cases(fast=10, slow=200)
def test_a_damaged_checkpoint_is_a_warning_and_a_clean_start(
    num_cases: int, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing of it is used, or all of it as it was saved."""
    checkpoint = FileCheckpoint(SLOT.parent, "key")
    saved = {"weights": torch.arange(40.0).reshape(8, 5), "step": torch.tensor(3), "none": torch.empty(0)}
    checkpoint.save(SLOT.stem, saved)

    def check(changes: list[Change]) -> None:
        capsys.readouterr()
        with Damaged(SLOT, corrupted(SLOT.read_bytes(), changes)):
            tensors = checkpoint.load(SLOT.stem)
        warning = capsys.readouterr().err
        if tensors is None:
            assert warning.startswith(f"warning: checkpoint ignored: {SLOT}: ")
            assert warning.count("\n") == 1
        else:
            assert frozen(tensors) == frozen(saved)
            assert warning in ("", f"goes on from checkpoint {SLOT}, step 3\n")

    for_all(num_cases, check, changes=CHANGES)


@num_cases(fast=10, slow=200)
def test_a_damaged_mark_of_a_finished_stage_removes_nothing_else(num_cases: int, copy: Path) -> None:
    """Its checkpoints go if what it names is what dvc.lock has; else they stay, for a run to go on from."""
    FileCheckpoint(FINISHED.parent, "key").save("vae", {"step": torch.tensor(3)})
    stage_item = Pipeline(params.load()[1]).stage_item("train_vae", CELL)
    mark_finished(FINISHED.parent, stage_item)
    before = tiny.fingerprints(copy, "models", "metrics", "ckpt/finished")

    def check(changes: list[Change]) -> None:
        with Damaged(FINISHED, corrupted(FINISHED.read_bytes(), changes)):
            remove_recorded({"train_vae@0.5-42": {"outs": [{"path": "other", "md5": "0" * 32}]}})
        assert tiny.fingerprints(copy, "models", "metrics", "ckpt/finished") == before

    for_all(num_cases, check, changes=CHANGES)
    shutil.rmtree(FINISHED.parent)


@num_cases(fast=10, slow=200)
def test_a_damaged_curve_or_lock_is_never_a_traceback(num_cases: int, copy: Path) -> None:
    """Neither has a checksum of its own: curves have that of dvc.lock (below), and dvc.lock is kept by git."""
    outs = [{"path": str(CELL.model(name)), "md5": f"{number:032x}"} for number, name in enumerate(("vae", "ddpm"))]
    entry = {"deps": outs, "params": {"params.yaml": {"seed": 1}}, "outs": outs}
    LOCK.write_text(yaml.safe_dump({"schema": "2.0", "stages": {"train_vae@0.5-42": entry}}))
    curve = CELL.curve("vae")

    def check(path: Path, changes: list[Change]) -> None:
        with Damaged(path, corrupted(path.read_bytes(), changes)):
            try:
                if path == LOCK:
                    assert all(isinstance(recorded_work(entry), dict) for entry in load_lock().values())
                else:
                    assert all(isinstance(loss, float) for loss in plot.load_curve(curve))
            except InputError as error:
                refusal(error, names=str(path))

    for_all(num_cases, check, path=st.sampled_from([LOCK, curve]), changes=CHANGES)
    LOCK.unlink()
