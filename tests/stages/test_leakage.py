"""No leakage, on whole stages: what stands behind a missing pixel changes no model, statistic or imputation by a bit.

Two ways in. On disk the raw digits are changed behind the missing pixels before `mask`, and taken away after it: no
stage that trains or imputes needs them. In memory the stages are handed garbage at missing pixels, scaled: 0, 1, what
no image holds, and NaN.
"""

import importlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import tiny
from support.poison import hand_out, spoil

from ldmiss.errors import InputError
from ldmiss_pipeline.artifacts.arrays import load_arrays
from ldmiss_pipeline.artifacts.observed import load_observed
from ldmiss_pipeline.artifacts.paths import OBSERVED_TEST, RAW, Item
from ldmiss_pipeline.config.registry import METHODS, TRAINED_BY_TRAIN

MAKES = {
    "train_vae": "models/vae",
    "encode_latents": "data/latents",
    "train_ddpm": "models/ddpm",
    "train_diffputer": "models/diffputer",
    "calibrate": "models/posterior",
    **{f"train-{method}": f"models/{method}" for method in TRAINED_BY_TRAIN},
}
"""The stages that read incomplete training images, with the method where one serves several, and where they write."""
TRAINED = ("train_vae", "encode_latents", "train_ldm", "train_ddpm", "train_diffputer", "train", "calibrate")
EARLY_STOP = {"em": {"train_first": {"epochs": 60, "lr": 0.05, "early_stop": 2}}}
"""For `diffputer`: its M-step ends on its training loss, and keeps the weights of the lowest."""
MATCHING = {"sampler": "ancestral", "num_steps": 3, "num_iterations": 2, "noise_sd": 0.1, "t_start": 0.5}
SWITCHED: dict[str, Any] = {
    "missing": {"fill": "mean"},
    "dataset": {"range": "unit"},
    "vae": {"encoder_input": "robust"},
    "latents": {"source": "sample", "scale": "per_channel"},
    "ldmiss": {"impute": {"guidance": {"sampler": "sde_dpm_solver_pp"}}},
    "posterior": {"calibrate": {"sampling": {"sampler": "ddim"}}},
    "ddpm": {"loss": {"normalizer": "batch"}, "impute": {"guidance": {"sampler": "ddim"}, "moment_matching": MATCHING}},
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


def test_early_stopping_really_stops(project: Path) -> None:
    """Without it the check of early stopping below would be empty."""
    epochs = len((project / tiny.CELL.curve("diffputer")).read_text().splitlines()) - 1
    assert epochs < 60


def poisoned(project: Path, raw: dict[str, Any]) -> dict[str, Any]:
    """The raw digits with 0, 1 and 255 behind their missing pixels, training and test."""
    result = {}
    for split, arrays in raw.items():
        _, observed = load_observed(project / (OBSERVED_TEST if split == "test" else tiny.CELL.observed()))
        truth = arrays["images"].reshape(observed.shape)
        images = np.where(observed, truth, np.resize(np.array([0, 1, 255], np.uint8), observed.shape))
        assert (images != truth).any(), "the poison is no change"
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
    for stage in ("mask", "mask_test"):
        module = importlib.import_module(f"stages.{stage}")
        monkeypatch.setattr(module, "remove_missing", lambda images, observed: images)
    leaking = tiny.make_project(tmp_path / "leaking", poisoned(project, raw))
    with pytest.raises(InputError, match="values where nothing was observed"):
        tiny.run(leaking, lambda stage: stage in ("mask_test", "mask", "train_vae"))
    assert tiny.fingerprints(leaking, "data/observed") != tiny.fingerprints(project, "data/observed")


def again(project: Path, folder: Path, stage: str, output: str, item: Item | None = None) -> dict[str, str]:
    """Run a stage, or one item of it, again, without its earlier output; the fingerprints of the new one."""
    shutil.copytree(project, folder, symlinks=True)
    shutil.rmtree(folder / output)
    tiny.run(folder, lambda name: name == stage, item)
    return tiny.fingerprints(folder, output)


def stage_and_item(made_by: str) -> tuple[str, Item]:
    """Of a key of `MAKES`."""
    stage, _, method = made_by.partition("-")
    return stage, Item(tiny.RATE, tiny.SEED, method or None)


@pytest.mark.parametrize("made_by", MAKES)
def test_training_never_sees_a_missing_pixel(
    made_by: str, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights, normalisation statistics, latents and their scale, and where early stopping stops: bit for bit.

    All of these are in the files that are compared (DiffPuter's moments beside its weights, the scale in the header).
    """
    stage, item = stage_and_item(made_by)
    calls = hand_out(monkeypatch, stage, spoil)
    made = tiny.fingerprints(project, MAKES[made_by])
    assert again(project, tmp_path / "again", stage, MAKES[made_by], item) == made
    assert set(calls) == {tiny.CELL.cell}, "the poison did not arrive"


@pytest.mark.parametrize("made_by", MAKES)
def test_training_does_see_an_observed_pixel(
    made_by: str, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check above can fail: by the same way in, one other value at one observed pixel changes what is written."""

    def change(images: np.ndarray, observed: np.ndarray) -> np.ndarray:
        place = tuple(np.argwhere(observed & (images > 0))[0])
        images[place] = 1 - images[place] / 2
        return images

    stage, item = stage_and_item(made_by)
    hand_out(monkeypatch, stage, change)
    made = tiny.fingerprints(project, MAKES[made_by])
    assert again(project, tmp_path / "again", stage, MAKES[made_by], item) != made


@pytest.mark.parametrize("method", METHODS)
def test_imputation_never_sees_a_missing_pixel(
    method: str, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every imputer, every draw: the files are the same whatever stands at the test images' missing pixels."""
    calls = hand_out(monkeypatch, "impute", spoil)
    item = Item(tiny.RATE, tiny.SEED, method)
    output = str(item.imputed(method))
    assert again(project, tmp_path / "again", "impute", output, item) == tiny.fingerprints(project, output)
    assert calls == ["scale_observed"], "the poison did not arrive"


@pytest.mark.parametrize("method", METHODS)
def test_imputation_does_see_an_observed_pixel(
    method: str, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check above can fail: another value at observed pixels moves the imputed ones (the mean's do not move)."""
    hand_out(monkeypatch, "impute", lambda images, observed: np.where(observed, 1 - images, images))
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
