"""A training stage stores what the library's fit gives: nothing is learnt in a stage."""

from pathlib import Path
from typing import Any

import pytest
import torch
from support import tiny
from support.fits import FITS, Data

from ldmiss.checkpoints import NO_CHECKPOINT
from ldmiss.files.tensors import load_tensors
from ldmiss_pipeline.artifacts.curves import load_curve
from ldmiss_pipeline.artifacts.incomplete import load_training_images
from ldmiss_pipeline.config.registry import METHODS

PREFIXES = {"vae": "vae.", "ldmiss": "unet.", "ddpm": "unet.", "diffputer": "mlp."}


@pytest.mark.parametrize("name", [name for name in FITS if name != "posterior"])  # whose fit is of a model
def test_a_stage_stores_what_the_fit_gives(name: str, project: Path, raw: dict[str, Any]) -> None:
    """The same arrays, settings and seed: the same weights, bit for bit."""
    training = load_training_images(project / tiny.CELL.observed(), torch.device("cpu"))
    images = training.images
    stored, _ = load_tensors(project / tiny.CELL.latents(), kind="latents")
    complete, labels = (torch.from_numpy(raw["train"][key]) for key in ("images", "labels"))
    if name == "classifier":
        images, path = complete[:, None] / 255, project / "models/classifier.safetensors"
    else:
        path = project / tiny.CELL.model(name)
    fitted = FITS[name](Data(images, training.observed, stored["latents"] * stored["scale"], labels), NO_CHECKPOINT)
    tensors, _ = load_tensors(path, kind=name)
    for key, value in fitted.items():
        assert torch.equal(value, tensors[key if key in ("mean", "std") else f"{PREFIXES.get(name, '')}{key}"]), key


def test_the_same_facts_stand_with_every_model(project: Path) -> None:
    """Which data set, and how many epochs its curve has."""
    epochs = {"diffputer": 14, "em_diffusion": 4, "posterior": 0, "baselines": 0}
    for name in METHODS:
        number = epochs.get(name, 2)
        _, metadata = load_tensors(project / tiny.CELL.model(name), kind=name)
        assert metadata["dataset"] == "mnist5k"
        assert len(load_curve(project / tiny.CELL.curve(name))) == number
