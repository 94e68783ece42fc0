"""What a data set is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Images:
    """One split: uint8 images (N, 28, 28) and int64 labels (N,)."""

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
    size: int = 28
