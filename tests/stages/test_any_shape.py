"""Whole stages, every method, on complete data sets of shapes, dtypes, units and mechanisms that nothing was made for.

A person's own images are in `test_own_images`.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from support import tiny
from support.image_sets import smooth
from support.poison import hand_out, spoil

from ldmiss.baselines.gaussian import MOST_VALUES
from ldmiss.core.scaling import Scaler
from ldmiss_pipeline.artifacts.arrays import load_arrays, save_arrays
from ldmiss_pipeline.artifacts.observed import load_observed, load_observed_metadata
from ldmiss_pipeline.artifacts.paths import OBSERVED_TEST, RAW
from ldmiss_pipeline.config.registry import GENERATORS, METHODS
from ldmiss_pipeline.datasets.dataset import Dataset, Split
from ldmiss_pipeline.datasets.registry import DATASETS

NUM_TRAIN, NUM_TEST = 20, 10


class Kind(NamedTuple):
    """A data set, made up in the place of a named one, and the mechanisms that take its pixels."""

    name: str
    shape: tuple[int, int, int]
    dtype: str
    mechanism: str
    test_mechanism: str


KINDS = [
    Kind("fashion5k", (1, 8, 11), "uint8", "block", "rows"),
    Kind("patches", (3, 33, 20), "float32", "mar", "block"),
    Kind("faces", (1, 112, 92), "uint16", "columns", "mar"),
]
GARBAGE = {"uint8": (0, 255), "uint16": (0, 65535), "float32": (-1e30, 1e30)}
"""What is put behind missing pixels on disk; none of these mechanisms looks there."""
MADE_OF_THEM = ("data/latents", "data/samples", "data/imputed", "models")
READ_IMAGES = ("train_vae", "encode_latents", "train_ddpm", "train_diffputer", "train", "calibrate", "impute")
"""The stages that read incomplete images."""


def values(kind: Kind) -> NDArray[Any]:
    """Training images, then test images: degrees below zero for floats, else all over the range of the dtype."""
    images = smooth(NUM_TRAIN + NUM_TEST, *kind.shape)
    if kind.dtype == "float32":
        return (50 * images - 60).astype(np.float32)
    return (images * np.iinfo(kind.dtype).max).astype(kind.dtype)


def save_raw(folder: Path, kind: Kind, images: NDArray[Any]) -> None:
    """As `download` would; labels, where the data set has them, are the digits in order."""
    for split, part in (("train", images[:NUM_TRAIN]), ("test", images[NUM_TRAIN:])):
        labels = {"labels": np.arange(len(part)) % 10} if DATASETS[kind.name].num_classes else {}
        save_arrays(folder / RAW / kind.name / f"{split}.npz", images=part, **labels)


def load_raw(folder: Path, split: str) -> Split:
    with np.load(folder / f"{split}.npz") as file:
        return Split(file["images"], file.get("labels"))


def make_project(folder: Path, kind: Kind, images: NDArray[Any]) -> Path:
    """A tiny project of the data set, completed by every method."""
    project = tiny.make_project(folder, {})
    changes = {
        "missing": {"mechanism": kind.mechanism, "test_mechanism": kind.test_mechanism},
        "sample": {"methods": list(GENERATORS)}, "impute": {"methods": list(METHODS), "num_images": "all"},
    }  # fmt: skip
    few = ("impute.num_images=all", "impute.num_draw_images=4")  # composed params are checked against the data set
    params = tiny.document(f"dataset={kind.name}", *few, **changes)
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    save_raw(project, kind, images)
    return project


def before_evaluate(stage: str) -> bool:
    return stage not in ("train_classifier", "mask", "mask_test", "evaluate", "plot")


@pytest.fixture(
    scope="module",
    params=[KINDS[0], *(pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS[1:])],
    ids=lambda kind: "x".join(map(str, kind.shape)),
)
def kind(request: pytest.FixtureRequest) -> Iterator[Kind]:
    """A kind, of which the data set stands in the registry."""
    kind: Kind = request.param
    classes = DATASETS[kind.name].num_classes
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DATASETS, kind.name, Dataset(NUM_TRAIN, NUM_TEST, kind.shape, classes, None, load_raw))
        yield kind


@pytest.fixture(scope="module")
def project(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which every stage has run; from `mask` to `impute`, there was no truth to be read."""
    folder = make_project(tmp_path_factory.mktemp("shape") / "project", kind, values(kind))
    tiny.run(folder, lambda stage: stage in ("train_classifier", "mask", "mask_test"))
    shutil.rmtree(folder / RAW)
    tiny.run(folder, before_evaluate)
    save_raw(folder, kind, values(kind))
    tiny.run(folder, lambda stage: stage in ("evaluate", "plot"))
    return folder


def imputers_of(kind: Kind) -> set[str]:
    """All, but for the linear Gaussian where images are too large for one."""
    return tiny.IMPUTERS if np.prod(kind.shape) <= MOST_VALUES else tiny.IMPUTERS - {"gaussian"}


def scaler_of(project: Path) -> Scaler:
    return Scaler.from_dict(load_observed_metadata(project / tiny.CELL.observed(), "scaler")["scaler"])


def test_observed_files_hold_the_images_as_they_are(project: Path, kind: Kind) -> None:
    """In their own dtype, bit for bit, at about the rate asked for."""
    images = values(kind)
    parts = ((tiny.CELL.observed(), images[:NUM_TRAIN]), (OBSERVED_TEST, images[NUM_TRAIN:]))
    for path, truth in parts:
        kept, observed = load_observed(project / path)
        assert kept.dtype == truth.dtype
        assert kept[observed].tobytes() == truth[observed].tobytes()
        assert not kept[~observed].any()
        assert 0.35 < observed.mean() < 0.65
        assert (observed == observed[:, :1]).all()  # a pixel is missing in all channels


def test_every_generator_and_imputer_makes_images_of_the_shape(project: Path, kind: Kind) -> None:
    """Finite, within the range of the dtype; of what is given, and of different draws, what is said of them."""
    scaler = scaler_of(project)
    low, high = scaler.scaled_bounds()
    truth = scaler.to_scaled(values(kind)[NUM_TRAIN:])
    _, observed = load_observed(project / OBSERVED_TEST)
    for method in GENERATORS:
        (images,) = load_arrays(project / tiny.CELL.samples(method), "images")
        assert images.shape == (12, *kind.shape), method
        assert np.isfinite(images).all()
        assert ((images >= low.astype(np.float16)) & (images <= high.astype(np.float16))).all(), method
    files = {path.stem: path for path in (project / "data/imputed").rglob("*.npz")}
    assert set(files) == imputers_of(kind)
    for imputer, path in files.items():
        images, rows, subset, draws = load_arrays(path, "images", "rows", "subset", "draws")
        stochastic = imputer in tiny.STOCHASTIC
        assert images.shape == (NUM_TEST, *kind.shape), imputer
        assert draws.shape == (4, 3 if stochastic else 1, *kind.shape)
        assert (rows == np.arange(NUM_TEST)).all()
        assert (draws[:, 0] == images[subset]).all()
        for some, given, known in (
            (images, truth, observed), (draws, truth[subset][:, None], observed[subset][:, None]),
        ):  # fmt: skip
            assert np.isfinite(some).all()
            assert ((some >= low.astype(np.float16)) & (some <= high.astype(np.float16))).all(), imputer
            known, given = np.broadcast_to(known, some.shape), np.broadcast_to(given, some.shape)
            assert (some[known] == given[known].astype(np.float16)).all(), imputer
        if stochastic:
            assert (draws[:, 0] != draws[:, 1])[~observed[subset]].mean() > 0.5, imputer


def test_all_is_measured(project: Path, kind: Kind) -> None:
    """On the values behind the missing pixels; FID, IS and accuracy of labelled images alone."""
    cell = json.loads((project / tiny.CELL.metrics()).read_text())
    labelled = DATASETS[kind.name].num_classes is not None
    assert set(cell["generation"]) == set(GENERATORS)
    assert set(cell["imputation"]) == imputers_of(kind)
    for metrics in cell["generation"].values():
        assert {"fid", "is"} <= set(metrics) if labelled else metrics == {}
    for imputer, metrics in cell["imputation"].items():
        assert np.isfinite(list(metrics.values())).all(), imputer
        assert {"fid", "is", "accuracy"} <= set(metrics) if labelled else not {"fid", "is", "accuracy"} & set(metrics)
        assert "rmse" not in metrics
    assert cell["classifier"]["source"] == ("trained" if labelled else "none")
    run = cell["run"]
    assert (run["mechanism"], run["test_mechanism"]) == (kind.mechanism, kind.test_mechanism)
    truth = scaler_of(project).to_scaled(values(kind)[NUM_TRAIN:])
    _, observed = load_observed(project / OBSERVED_TEST)
    (images,) = load_arrays(project / tiny.CELL.imputed("baselines") / "neighbour.npz", "images")
    expected = float(((images.astype(np.float64) - truth)[~observed] ** 2).mean())
    assert cell["imputation"]["neighbour"]["mse"] == pytest.approx(expected, rel=1e-4)
    if "gaussian" in cell["imputation"]:
        assert cell["imputation"]["gaussian"]["mse"] < 0.9 * cell["imputation"]["mean"]["mse"]
    assert len(list((project / "plots").glob("*.png"))) == 6


def test_nothing_is_made_of_what_stands_behind_missing_pixels(project: Path, kind: Kind, tmp_path: Path) -> None:
    """Other values there, on disk: the same masked files to the byte, the scale of the values among them."""
    images = values(kind)
    _, train = load_observed(project / tiny.CELL.observed())
    _, test = load_observed(project / OBSERVED_TEST)
    garbage = np.resize(np.array(GARBAGE[kind.dtype], dtype=kind.dtype), images.shape)
    poisoned = np.where(np.concatenate([train, test]), images, garbage)
    again = make_project(tmp_path / "again", kind, poisoned)
    tiny.run(again, lambda stage: stage in ("mask", "mask_test"))
    assert tiny.fingerprints(again, "data/observed") == tiny.fingerprints(project, "data/observed")


def test_no_stage_sees_what_stands_at_missing_pixels(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Garbage there, NaN among it, whenever images are read: the same latents, models, samples and imputations."""
    again = tmp_path / "again"
    shutil.copytree(project, again, symlinks=True)
    for part in MADE_OF_THEM:
        shutil.rmtree(again / part)
    tiny.run(again, lambda stage: stage == "train_classifier")  # it is among the models, and sees complete images
    calls = {stage: hand_out(monkeypatch, stage, spoil) for stage in READ_IMAGES}
    tiny.run(again, before_evaluate)
    for part in MADE_OF_THEM:
        assert tiny.fingerprints(again, part) == tiny.fingerprints(project, part), part
    assert all(calls.values()), "the poison did not arrive"
