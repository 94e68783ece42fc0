"""A person's own images through every stage and method: arrays and folders of any shape, completed in kind."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from support import tiny

from ldmiss_pipeline.artifacts.arrays import load_array_metadata, load_arrays, save_arrays
from ldmiss_pipeline.artifacts.observed import load_observed
from ldmiss_pipeline.artifacts.paths import OBSERVED_TEST, Item
from ldmiss_pipeline.config.registry import METHODS

NUM_IMAGES = 12
CELL = Item(0.0, 42)


def holes(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Observed, bool (N, H, W): a rectangle of each image is missing; of one image all; one pixel everywhere."""
    observed = np.ones((NUM_IMAGES, height, width), bool)
    for known in observed:
        top, left = rng.integers(0, height // 2), rng.integers(0, width // 2)
        known[top : top + height // 2, left : left + width // 3] = False
    observed[5] = False
    observed[:, 0, 0] = False
    return observed


def floats(folder: Path) -> dict[str, Any]:
    """Degrees below zero, (N, 8, 11), NaN where missing."""
    rng = np.random.default_rng(0)
    values = rng.normal(-40, 12, (NUM_IMAGES, 8, 11)).astype(np.float32)
    np.savez(folder / "images.npz", images=np.where(holes(rng, 8, 11), values, np.float32(np.nan)))
    return {"path": str(folder / "images.npz")}


def colours_of_16_bits(folder: Path) -> dict[str, Any]:
    """Three channels of uint16, (N, 33, 20, 3), with masks of what is missing."""
    rng = np.random.default_rng(0)
    values = rng.integers(0, 4000, (NUM_IMAGES, 33, 20, 3)).astype(np.uint16)
    np.savez(folder / "images.npz", images=values, mask=~holes(rng, 33, 20))
    return {"path": str(folder / "images.npz"), "mask": "missing"}


def pictures(folder: Path) -> dict[str, Any]:
    """RGBA PNG files of 12 x 10, transparent where missing."""
    rng = np.random.default_rng(0)
    (folder / "pictures").mkdir()
    for number, observed in enumerate(holes(rng, 12, 10)):
        pixels = np.dstack([rng.integers(0, 256, (12, 10, 3), dtype=np.uint8), np.where(observed, 255, 0)])
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"pictures/scene {number:02}.png")
    return {"path": str(folder / "pictures")}


KINDS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "floats": floats, "colours of 16 bits": colours_of_16_bits, "pictures": pictures,
}  # fmt: skip
MODEL_OF = {
    "train_vae": "vae", "encode_latents": "ldmiss", "train_ldm": "ldmiss", "train_ddpm": "ddpm",
    "train_diffputer": "diffputer", "calibrate": "posterior",
}  # fmt: skip
"""The stages that run for one model alone."""
ONCE = ("check", "download", "train_classifier", "mask_test", "plot")


def run(project: Path, *stages: str) -> None:
    """Run some stages, or all, with every item of theirs."""
    document = yaml.safe_load((project / "params.yaml").read_text())
    methods = {
        "train": document["train"]["methods"], "sample": document["sample"]["methods"],
        "impute": document["impute"]["methods"], "complete": document["complete"]["methods"],
    }  # fmt: skip
    trained = {model for model, seeds in document["train"]["seeds"].items() if seeds}
    order = [stage for stage, _ in tiny.ITEMS if stage not in MODEL_OF or MODEL_OF[stage] in trained]
    order = list(dict.fromkeys([*order[:1], "download", *order[1:-2], "complete", *order[-2:]]))
    tiny.run_items(project, [
        (stage, item)
        for stage in order if not stages or stage in stages
        for item in ([Item()] if stage in ONCE else [Item(0.0, 42, method) for method in methods.get(stage, [None])])
    ])  # fmt: skip


def make_project(folder: Path, dataset: dict[str, Any], methods: Sequence[str] = ("ldmiss", "baselines")) -> Path:
    """A tiny project of one's own images, completed by some methods."""
    everything = {"methods": list(methods)}
    changes = {
        "dataset": dataset, "impute": {**everything, "num_images": "all", "num_draws": 3},
        "complete": {**everything, "num_draws": 3}, "plot": {"num_columns": 3},
        "vae": {"network": {"latent_channels": 2}},
    }  # fmt: skip
    project = tiny.make_project(folder, {})
    params = tiny.document("dataset=own", f"dataset.path='{dataset['path']}'", **changes)
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    return project


@pytest.fixture(
    scope="module", params=["floats", pytest.param("colours of 16 bits", marks=pytest.mark.slow), "pictures"]
)
def own(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which every stage has run."""
    folder = tmp_path_factory.mktemp("own")
    methods = {
        "floats": ["ldmiss", "baselines"],
        "colours of 16 bits": list(METHODS),
        "pictures": ["conditional", "ldmiss", "baselines"],
    }[request.param]
    project = make_project(folder / "project", KINDS[request.param](folder), methods)
    run(project)
    return project


def given(project: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images and observed as `download` keeps them, (N, C, H, W)."""
    return load_observed(project / "data/raw/own/images.npz")


def test_every_image_is_completed_in_kind(own: Path) -> None:
    """By every imputer: dtype, layout and names of the input, observed values bit for bit, the rest finite."""
    images, observed = given(own)
    channels = images.shape[1]
    files = sorted((own / "data/completed/0.0-42").rglob("*.npz"))
    few = {np.dtype(np.uint8): 5, np.dtype(np.float32): 4}
    assert len(files) == few.get(images.dtype, len(tiny.IMPUTERS))
    for path in files:
        with np.load(path, allow_pickle=False) as file:
            completed, draws, sd, known = (file[name] for name in ("images", "draws", "sd", "observed"))
            names = file["names"].tolist() if "names" in file else None
        first = np.moveaxis(images, 1, -1) if channels > 1 else images[:, 0]
        assert completed.dtype == draws.dtype == images.dtype
        assert completed.shape == sd.shape == first.shape
        assert draws.shape == (NUM_IMAGES, draws.shape[1], *first.shape[1:])
        assert np.array_equal(known, np.moveaxis(observed, 1, -1) if channels > 1 else observed[:, 0])
        assert completed[known].tobytes() == first[known].tobytes()
        assert all(draws[:, k][known].tobytes() == first[known].tobytes() for k in range(draws.shape[1]))
        assert np.isfinite(completed).all()
        assert not sd[known].any()
        stochastic = path.stem in tiny.STOCHASTIC
        assert (draws.shape[1], bool(sd.any())) == ((3, True) if stochastic else (1, False))
        assert path.with_suffix(".png").stat().st_size > 1000
        if names is None:
            assert not path.with_suffix("").exists()
        else:
            assert names == [f"scene {number:02}" for number in range(NUM_IMAGES)]
            with Image.open(path.with_suffix("") / "scene 03.png") as picture:
                assert picture.mode == "RGBA"
                assert np.array_equal(np.asarray(picture)[..., :3], completed[3])


def test_the_error_is_measured_on_held_out_pixels_in_the_units_of_the_data(own: Path) -> None:
    """Of every imputer; there is no classifier, no FID, no truth, and no claim of the paper's."""
    cell = json.loads((own / "metrics/cells/0.0-42.json").read_text())
    assert cell["classifier"]["source"] == "none"
    assert cell["run"]["units"] == "data"
    images, known = given(own)
    spread = float(images.astype(float)[known].std())
    for imputer, metrics in cell["imputation"].items():
        assert {"rmse", "mae", "rmse_mean", "mae_mean", "mse"} <= set(metrics), imputer
        assert not {"fid", "is", "accuracy", "mse_all"} & set(metrics)
        assert np.isfinite(list(metrics.values())).all()
        if imputer in ("mean", "gaussian", "neighbour"):  # the networks are hardly trained
            assert 0.1 * spread < metrics["rmse"] < 3 * spread, imputer
        assert ("crps" in metrics) == (imputer in tiny.STOCHASTIC)
    claims = json.loads((own / "metrics/claims.json").read_text())["claims"]
    assert {claim["verdict"] for claim in claims} == {"not applicable"}
    assert set(pd.read_csv(own / "metrics/table.csv")["task"]) >= {"imputation", "run"}
    assert len(list((own / "plots").glob("*.png"))) == 6


@pytest.mark.parametrize("own", ["pictures", pytest.param("colours of 16 bits", marks=pytest.mark.slow)], indirect=True)
def test_what_is_held_out_is_hidden_from_everything(own: Path, tmp_path: Path) -> None:
    """Other values at the held-out pixels: the same models and imputations to the byte; only what is delivered and
    what is measured differ."""
    images, known = given(own)
    _, shown = load_observed(own / OBSERVED_TEST)
    rows = np.arange(NUM_IMAGES // 5) * NUM_IMAGES // (NUM_IMAGES // 5)
    hidden = np.zeros_like(known)
    hidden[rows] = known[rows] & ~shown
    assert hidden.any()
    _, training = load_observed(own / CELL.observed())
    assert np.array_equal(training, known & ~hidden)
    again = tmp_path / "again"
    shutil.copytree(own, again, symlinks=True)
    path = again / "data/raw/own/images.npz"
    changed = np.where(hidden, images[:, :, ::-1, ::-1], images)
    save_arrays(
        path, metadata=load_array_metadata(path), images=changed, observed=np.packbits(known), rows=rows
    )  # fmt: skip
    for folder in ("data/observed", "data/latents", "data/imputed", "data/completed", "models"):
        shutil.rmtree(again / folder)
    run(again, *(stage for stage, _ in tiny.ITEMS), "complete")
    for part in ("data/latents", "data/imputed", "data/observed", "models"):
        assert tiny.fingerprints(again, part) == tiny.fingerprints(own, part), part
    for part in ("data/completed", "metrics/cells"):
        assert tiny.fingerprints(again, part) != tiny.fingerprints(own, part), part


@pytest.mark.parametrize("mechanism", ["mar", "mnar"])
def test_what_is_held_out_decides_nothing_of_what_else_is_hidden(mechanism: str, tmp_path: Path) -> None:
    """A mechanism that looks at values sees none of them: other ones there, the same training images to the byte."""
    project = make_project(tmp_path / "project", colours_of_16_bits(tmp_path))
    document = yaml.safe_load((project / "params.yaml").read_text())
    document["missing"]["mechanism"] = mechanism
    document["missing_rate"] = document["grid"]["missing_rates"][0] = 0.3
    (project / "params.yaml").write_text(yaml.safe_dump(document))
    cell = Item(0.3, 42)
    tiny.run_items(project, [("download", Item()), ("mask_test", Item()), ("mask", cell)])
    before = tiny.fingerprints(project, "data/observed")
    images, known = given(project)
    path = project / "data/raw/own/images.npz"
    (rows,) = load_arrays(path, "rows")
    hidden = np.zeros_like(known)
    hidden[rows] = known[rows] & ~load_observed(project / OBSERVED_TEST)[1]
    assert hidden.any()
    for changed in (hidden, known & ~hidden):
        values = np.where(changed, images[:, :, ::-1, ::-1], images)
        save_arrays(
            path, metadata=load_array_metadata(path), images=values, observed=np.packbits(known), rows=rows
        )  # fmt: skip
        tiny.run_items(project, [("mask", cell)])
        assert (tiny.fingerprints(project, "data/observed") == before) == (changed is hidden)


def test_values_behind_missing_pixels_go_nowhere(tmp_path: Path) -> None:
    """What stands there in the person's file changes no byte of what is kept of it, or made of it."""
    kept = []
    for garbage in (0, 3999):
        folder = tmp_path / str(garbage)
        folder.mkdir()
        dataset = colours_of_16_bits(folder)
        with np.load(dataset["path"]) as file:
            images, missing = file["images"], file["mask"]
        np.savez(dataset["path"], images=np.where(missing[..., None], np.uint16(garbage), images), mask=missing)
        project = make_project(folder / "project", dataset | {"path": "../images.npz"})
        run(project, "download", "mask_test", "mask")
        kept.append(tiny.fingerprints(project, "data/observed", "data/raw"))
    assert kept[0] == kept[1]
    assert len(kept[0]) == 3
