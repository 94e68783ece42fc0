"""No leakage, on whole stages: what stands behind a missing pixel changes no model, statistic or imputation by a bit.

Two ways in. On disk the raw digits are changed behind the missing pixels before `mask`, and taken away after it: no
stage that trains or imputes needs them. In memory the stages are handed garbage at missing pixels (the file format
refuses it): 0, 1, 255 and what only floats can hold, 1e6 and NaN.
"""

import importlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import tiny
from torch import Tensor

import ldmiss.autoencoding.encoding
import ldmiss.checks
import ldmiss_pipeline.artifacts.arrays
import ldmiss_pipeline.artifacts.incomplete
from ldmiss.checks import check_array
from ldmiss.errors import InputError
from ldmiss_pipeline.artifacts.arrays import load_arrays
from ldmiss_pipeline.artifacts.observed import load_observed
from ldmiss_pipeline.artifacts.paths import OBSERVED_TEST, RAW, Item
from ldmiss_pipeline.config.registry import METHODS
from ldmiss_pipeline.datasets import incomplete

MAKES = {
    "train_vae": "models/vae",
    "encode_latents": "data/latents",
    "train_ddpm": "models/ddpm",
    "train_diffputer": "models/diffputer",
    "train": "models/baselines",
}
"""The stages that read incomplete training images, and where they write."""
GARBAGE = np.array([0.0, 1.0, 255.0, 1e6, float("nan")], dtype=np.float32)
"""What missing pixels hold, one after the other."""
TRAINED = ("train_vae", "encode_latents", "train_ldm", "train_ddpm", "train_diffputer", "train")
EARLY_STOP = {"em": {"train_first": {"epochs": 60, "lr": 0.05, "early_stop": 2}}}
"""For `diffputer`: its M-step ends on its training loss, and keeps the weights of the lowest."""
SWITCHED: dict[str, Any] = {
    "missing": {"fill": "mean"},
    "dataset": {"range": "unit"},
    "vae": {"encoder_input": "robust"},
    "latents": {"source": "sample", "scale": "per_channel"},
    "ldmiss": {"impute": {"guidance": {"sampler": "sde_dpm_solver_pp"}}},
    "ddpm": {"loss": {"normalizer": "batch"}, "impute": {"guidance": {"sampler": "ddim"}}},
    "diffputer": {"normalize": "global"},
}
"""Every switch that lets images in by another way: all statistics of the training images, other guided samplers."""


@pytest.fixture(scope="module", params=["paper", pytest.param("switched", marks=pytest.mark.slow)])
def project(request: pytest.FixtureRequest, raw: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which every stage up to `impute` has run, as the paper has it or with every other way in.

    After `mask` the raw digits are deleted, and that alone proves a part: the truth was not there to be read.
    """
    changes = SWITCHED if request.param == "switched" else {}
    changes = tiny.merged(changes, {"diffputer": EARLY_STOP})
    folder = tiny.make_project(tmp_path_factory.mktemp("leakage") / "project", raw, **changes)
    tiny.run(folder, lambda stage: stage in ("mask", "mask_test"))
    shutil.rmtree(folder / RAW)
    tiny.run(folder, lambda stage: stage in (*TRAINED, "impute"))
    return folder


def spoil(images: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Garbage of every kind at the missing pixels of float32 images."""
    garbage = np.resize(GARBAGE, images.shape)
    missing = garbage[~observed]
    assert np.isnan(missing).any()
    assert all((missing == value).any() for value in GARBAGE[:-1])
    return np.where(observed, images, garbage)


def test_early_stopping_really_stops(project: Path) -> None:
    """Without it the check of early stopping below would be empty."""
    epochs = len((project / tiny.CELL.curve("diffputer")).read_text().splitlines()) - 1
    assert epochs < 60


def poisoned(project: Path, raw: dict[str, Any]) -> dict[str, Any]:
    """The raw digits with 0, 1 and 255 behind their missing pixels, training and test."""
    result = {}
    for split, arrays in raw.items():
        _, observed = load_observed(project / (OBSERVED_TEST if split == "test" else tiny.CELL.observed()))
        images = np.where(observed, arrays["images"], np.resize(np.array([0, 1, 255], np.uint8), observed.shape))
        assert (images != arrays["images"]).any(), "the poison is no change"
        result[split] = {**arrays, "images": images}
    return result


def test_the_masked_files_hold_nothing_of_it(project: Path, raw: dict[str, Any], tmp_path: Path) -> None:
    """Garbage behind missing pixels of the raw digits: `mask` writes the same bytes."""
    folder = tiny.make_project(tmp_path / "poisoned", poisoned(project, raw))
    tiny.run(folder, lambda stage: stage in ("mask", "mask_test"))
    assert tiny.fingerprints(folder, "data/observed") == tiny.fingerprints(project, "data/observed")


def test_the_poison_is_seen_without_the_filling(
    project: Path, raw: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check above can fail: with the filling taken out, the masked data differ, and no stage accepts them."""
    monkeypatch.setattr(incomplete, "remove_missing", lambda images, observed: images)
    leaking = tiny.make_project(tmp_path / "leaking", poisoned(project, raw))
    with pytest.raises(InputError, match="values where nothing was observed"):
        tiny.run(leaking, lambda stage: stage in ("mask", "train_vae"))
    assert tiny.fingerprints(leaking, "data/observed") != tiny.fingerprints(project, "data/observed")


def hand_out(
    monkeypatch: pytest.MonkeyPatch, stage: str, change: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> list[str]:
    """Have a stage read images that went through change(images float32 in 0..255, observed); the calls it made."""
    calls: list[str] = []

    def load_incomplete(path: Path, device: torch.device) -> tuple[Tensor, Tensor]:
        calls.append(path.stem)
        images, observed = load_observed(path)
        changed = torch.from_numpy(change(images.astype(np.float32), observed))
        return changed[:, None].to(device), torch.from_numpy(observed)[:, None].to(device)

    def load_changed(path: Path) -> tuple[np.ndarray, np.ndarray]:
        calls.append(path.stem)
        images, observed = load_observed(path)
        return change(images.astype(np.float32), observed), observed

    module = importlib.import_module(f"stages.{stage}")
    replaced = {
        ldmiss_pipeline.artifacts.incomplete.load_incomplete: load_incomplete,
        ldmiss_pipeline.artifacts.incomplete.load_observed: load_changed,
    }
    for name, value in list(vars(module).items()):
        if callable(value) and value in replaced:
            monkeypatch.setattr(module, name, replaced[value])
    for door in (ldmiss.checks, ldmiss.autoencoding.encoding):  # which takes images of 8 bits, in which there is no NaN
        monkeypatch.setattr(door, "check_array", floats_allowed)
    return calls


def floats_allowed(name: str, value: Any, shape: Any, *dtypes: str) -> None:
    """The check of shapes and dtypes, with floats among the dtypes of images."""
    check_array(name, value, shape, *dtypes, *(["float32"] if name == "images" else []))


def again(project: Path, folder: Path, stage: str, output: str, item: Item | None = None) -> dict[str, str]:
    """Run a stage, or one item of it, again, without its earlier output; the fingerprints of the new one."""
    shutil.copytree(project, folder, symlinks=True)
    shutil.rmtree(folder / output)
    tiny.run(folder, lambda name: name == stage, item)
    return tiny.fingerprints(folder, output)


@pytest.mark.parametrize("stage", MAKES)
def test_training_never_sees_a_missing_pixel(
    stage: str, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights, normalisation statistics, latents and their scale, and where early stopping stops: bit for bit.

    All of these are in the files that are compared (DiffPuter's moments beside its weights, the scale in the header).
    """
    calls = hand_out(monkeypatch, stage, spoil)
    assert again(project, tmp_path / "again", stage, MAKES[stage]) == tiny.fingerprints(project, MAKES[stage])
    assert set(calls) == {tiny.CELL.cell}, "the poison did not arrive"


@pytest.mark.parametrize("stage", MAKES)
def test_training_does_see_an_observed_pixel(
    stage: str, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check above can fail: by the same way in, one other value at one observed pixel changes what is written."""

    def change(images: np.ndarray, observed: np.ndarray) -> np.ndarray:
        row, y, x = np.argwhere(observed & (images > 0))[0]
        images[row, y, x] = 255.0 - images[row, y, x] / 2
        return images

    hand_out(monkeypatch, stage, change)
    assert again(project, tmp_path / "again", stage, MAKES[stage]) != tiny.fingerprints(project, MAKES[stage])


@pytest.mark.parametrize("method", METHODS)
def test_imputation_never_sees_a_missing_pixel(
    method: str, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every imputer, every draw: the files are the same whatever stands at the test images' missing pixels."""
    calls = hand_out(monkeypatch, "impute", spoil)
    item = Item(tiny.RATE, tiny.SEED, method)
    output = str(item.imputed(method))
    assert again(project, tmp_path / "again", "impute", output, item) == tiny.fingerprints(project, output)
    assert calls == ["test"], "the poison did not arrive"


@pytest.mark.parametrize("method", METHODS)
def test_imputation_does_see_an_observed_pixel(
    method: str, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check above can fail: another value at observed pixels moves the imputed ones (the mean's do not move)."""
    hand_out(monkeypatch, "impute", lambda images, observed: np.where(observed, 255 - images, images))
    item = Item(tiny.RATE, tiny.SEED, method)
    again(project, tmp_path / "again", "impute", str(item.imputed(method)), item)
    _, observed = load_observed(project / OBSERVED_TEST)
    for path in sorted((project / item.imputed(method)).glob("*.npz")):
        (before, rows), (after, _) = (
            load_arrays(folder / path.relative_to(project), "images", "rows")
            for folder in (project, tmp_path / "again")
        )
        moved = (before != after)[~observed[rows]].any()
        assert moved == (path.stem != "mean"), path.stem
