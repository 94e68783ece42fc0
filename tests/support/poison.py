"""Garbage at missing pixels, on the way into a stage."""

import dataclasses
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ldmiss_pipeline.artifacts.incomplete import TrainingImages, load_training_images, scale_observed

GARBAGE = np.array([0.0, 1 / 255, 1.0, 1e6, float("nan")], dtype=np.float32)
"""What missing pixels hold, one after the other."""


def spoil(images: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Garbage of every kind at the missing pixels of float32 images."""
    garbage = np.resize(GARBAGE, images.shape)
    missing = garbage[~observed]
    assert np.isnan(missing).any()
    assert all((missing == value).any() for value in GARBAGE[:-1])
    return np.where(observed, images, garbage)


def hand_out(
    monkeypatch: pytest.MonkeyPatch, stage: str, change: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> list[str]:
    """Have a stage see scaled images that went through change(images, observed); the names of the calls it made."""
    calls: list[str] = []

    def scaled(*args: Any) -> Tensor:
        calls.append("scale_observed")
        images = scale_observed(*args)
        return torch.from_numpy(change(images.numpy().copy(), args[2]))

    def training(path: Path, device: torch.device) -> TrainingImages:
        calls.append(path.stem)
        read = load_training_images(path, device)
        changed = torch.from_numpy(change(read.images.numpy().copy(), read.observed.numpy()))
        return dataclasses.replace(read, images=changed)

    module = importlib.import_module(f"stages.{stage}")
    for name, replacement in (("scale_observed", scaled), ("load_training_images", training)):
        if hasattr(module, name):
            monkeypatch.setattr(module, name, replacement)
    return calls
