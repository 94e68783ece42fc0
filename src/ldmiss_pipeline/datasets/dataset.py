"""What a data set is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ldmiss.checks import LEAST_SIZE
from ldmiss.errors import InputError


@dataclass(frozen=True)
class Split:
    """The training or the test images of a data set.

    Attributes:
        images: (N, C, H, W), real numbers in the data's own dtype and units.
        labels: int64 (N,), from 0 up; None where the images have no classes.
        observed: bool (N, C, H, W), True where a pixel is known; None where all are.
        rows: of a test split that is part of the training images, which of them it is, int64 (N,); else None.
    """

    images: NDArray[Any]
    labels: NDArray[np.int64] | None = None
    observed: NDArray[np.bool_] | None = None
    rows: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Dataset:
    """A data set.

    Attributes:
        num_train, num_test: images, known before anything is downloaded, to check params against; None where only the
            files say.
        shape: (C, H, W) of the images, known as early; None likewise.
        num_classes: of the labels, 0 to num_classes - 1; None for images without, for which there is no classifier.
        download: writes the raw files into a folder; None for a person's own, see `ldmiss_pipeline.datasets.own`.
        load: (folder, "train" or "test") -> the split; verifies the files.
    """

    num_train: int | None
    num_test: int | None
    shape: tuple[int, int, int] | None
    num_classes: int | None
    download: Callable[[Path], None] | None
    load: Callable[[Path, str], Split]


def check_split(split: Split, dataset: Dataset, where: str) -> None:
    """Refuse what the stages cannot do, or what the data set does not say it is, before any of them works on it.

    Raises:
        InputError: images, labels, observed-indicators or rows of another dtype, shape or range; begins with `where`.
    """
    _check_images(split, dataset, where)
    _check_labels(split, dataset, where)
    num_images = len(split.images)
    if split.rows is not None and (split.rows.dtype != np.int64 or split.rows.shape != (num_images,)):
        raise InputError(f"{where}: rows are {split.rows.dtype} {split.rows.shape}; allowed: int64 ({num_images},)")


def _check_images(split: Split, dataset: Dataset, where: str) -> None:
    images, observed = split.images, split.observed
    found = f"{where}: images are {images.dtype} {images.shape}"
    if images.ndim != 4 or images.dtype.kind not in "iuf" or 0 in images.shape or min(images.shape[2:]) < LEAST_SIZE:
        raise InputError(
            f"{found}; allowed: real numbers (N, C, H, W), at least one image and one channel, H and W at least "
            f"{LEAST_SIZE}"
        )
    if dataset.shape is not None and images.shape[1:] != dataset.shape:
        raise InputError(f"{found}; allowed for this data set: (N, {', '.join(map(str, dataset.shape))})")
    if observed is not None and (observed.dtype != np.bool_ or observed.shape != images.shape):
        raise InputError(f"{where}: observed is {observed.dtype} {observed.shape}; allowed: bool {images.shape}")
    if images.dtype.kind == "f" and not np.isfinite(images if observed is None else images[observed]).all():
        raise InputError(f"{where}: NaN or infinite values at known pixels; allowed: finite ones")


def _check_labels(split: Split, dataset: Dataset, where: str) -> None:
    labels, num_classes, num_images = split.labels, dataset.num_classes, len(split.images)
    if labels is None or num_classes is None:
        if labels is not None or num_classes is not None:
            classes = "no classes" if num_classes is None else f"{num_classes} classes"
            raise InputError(f"{where}: {'no ' if labels is None else ''}labels, but the data set has {classes}")
        return
    if labels.dtype != np.int64 or labels.shape != (num_images,):
        raise InputError(f"{where}: labels are {labels.dtype} {labels.shape}; allowed: int64 ({num_images},)")
    if labels.min() < 0 or labels.max() >= num_classes:
        raise InputError(f"{where}: labels from {labels.min()} to {labels.max()}; allowed: 0 to {num_classes - 1}")
