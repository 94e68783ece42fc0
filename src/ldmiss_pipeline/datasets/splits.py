"""Splits as npz files, and the fixed parts of a larger set that are small data sets of their own."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ldmiss_pipeline.artifacts.arrays import load_arrays, save_arrays
from ldmiss_pipeline.datasets.dataset import Split

PARTS = {"train": slice(0, 400), "test": slice(400, 500)}
"""Of each class, in random order."""


def save_pictures(folder: Path, split: str, images: NDArray[np.uint8]) -> None:
    """Write a split without labels, images (N, C, H, W)."""
    save_arrays(folder / f"{split}.npz", images=images)


def load_pictures(folder: Path, split: str) -> Split:
    """A split without labels, as `save_pictures` wrote it."""
    return Split(*load_arrays(folder / f"{split}.npz", "images"))


def save_balanced(
    folder: Path, images: NDArray[np.uint8], labels: NDArray[np.integer], rng: np.random.Generator
) -> None:
    """Write two disjoint splits of labelled images (N, C, H, W): of each of ten classes 400 and 100."""
    order = [rng.permutation(np.flatnonzero(labels == label)) for label in range(10)]
    for split, part in PARTS.items():
        chosen = rng.permutation(np.concatenate([indices[part] for indices in order]))
        save_arrays(folder / f"{split}.npz", images=images[chosen], labels=labels[chosen].astype(np.int64))


def load_labelled(folder: Path, split: str) -> Split:
    """A split with labels, as `save_balanced` wrote it."""
    return Split(*load_arrays(folder / f"{split}.npz", "images", "labels"))
