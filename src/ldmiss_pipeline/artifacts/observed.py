"""Incomplete images on disk, with their observed-indicators (numpy alone)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ldmiss.errors import InputError
from ldmiss_pipeline.artifacts.arrays import load_array_metadata, load_arrays, save_arrays


def load_dataset_name(path: Path) -> str:
    """The data set that the incomplete images in a file are from.

    Raises:
        InputError: as `load_arrays`; or the file does not say.
    """
    metadata = load_array_metadata(path)
    if "dataset" not in metadata:
        raise InputError(f"{path}: its metadata have no entry 'dataset'; make it again with `dvc repro`")
    return str(metadata["dataset"])


def save_observed(
    path: Path, images: NDArray[np.uint8], observed: NDArray[np.bool_], *, metadata: Mapping[str, Any]
) -> None:
    """Write incomplete images, uint8 (N, H, W) 0 where missing, and their observed-indicators."""
    save_arrays(path, metadata=metadata, images=images, observed=np.packbits(observed))


def load_observed(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Images uint8 and observed bool, both (N, H, W).

    Raises:
        InputError: as `load_arrays`; or the indicators do not fit the images.
    """
    images, packed = load_arrays(path, "images", "observed")
    if packed.size != -(-images.size // 8):
        raise InputError(f"{path}: the observed-indicators do not fit the {images.shape} images")
    observed = np.unpackbits(packed, count=images.size).astype(bool).reshape(images.shape)
    if images[~observed].any():
        raise InputError(f"{path}: values where nothing was observed; they must be 0")
    return images, observed
