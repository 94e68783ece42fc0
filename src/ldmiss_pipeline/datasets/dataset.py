"""What a data set is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ldmiss.errors import InputError

SIZE, NUM_CLASSES = 28, 10
"""What the stages can do for now: grey images of this height and width, labels 0 to 9."""


@dataclass(frozen=True)
class Images:
    """One split: uint8 images (N, 28, 28) and int64 labels (N,), 0 to 9."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class Dataset:
    """A data set.

    Attributes:
        num_train, num_test: images, known before anything is downloaded, to check params against.
        size: height and width of the images, known as early.
        download: writes the raw files into a folder.
        load: (folder, "train" or "test") -> the split; verifies the files.
    """

    num_train: int
    num_test: int
    download: Callable[[Path], None]
    load: Callable[[Path, str], Images]
    size: int = SIZE


def check_split(split: Images, where: str) -> None:
    """Refuse what the stages cannot do, before any of them works on it.

    Raises:
        InputError: other images than uint8 (N, 28, 28), or other labels than int64 (N,) from 0 to 9; begins with
            `where`.
    """
    images, labels = split.images, split.labels
    if images.dtype != np.uint8 or images.shape[1:] != (SIZE, SIZE) or not len(images):
        raise InputError(
            f"{where}: images are {images.dtype} {images.shape}; allowed for now: grey ones of {SIZE} x {SIZE} pixels, "
            f"uint8 (N, {SIZE}, {SIZE})"
        )
    if labels.dtype != np.int64 or labels.shape != images.shape[:1]:
        raise InputError(f"{where}: labels are {labels.dtype} {labels.shape}; allowed: int64 ({len(images)},)")
    if labels.min() < 0 or labels.max() >= NUM_CLASSES:
        raise InputError(
            f"{where}: labels from {labels.min()} to {labels.max()}; allowed for now: 0 to {NUM_CLASSES - 1}"
        )
