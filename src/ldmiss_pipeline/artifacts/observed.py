"""Incomplete images on disk, with their observed-indicators (numpy alone)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ldmiss.errors import InputError
from ldmiss_pipeline.artifacts.arrays import load_array_metadata, load_arrays, save_arrays


def load_observed_metadata(path: Path, *names: str) -> dict[str, Any]:
    """What a file of incomplete images says of them: `dataset`, and `scaler` where they are for training.

    Raises:
        InputError: as `load_arrays`; or the file does not say.
    """
    metadata = load_array_metadata(path)
    if absent := [name for name in names if name not in metadata]:
        raise InputError(f"{path}: its metadata have no entry {', '.join(absent)}; make it again with `dvc repro`")
    return {name: metadata[name] for name in names}


def save_observed(
    path: Path, images: NDArray[Any], observed: NDArray[np.bool_], *, metadata: Mapping[str, Any]
) -> None:
    """Write incomplete images (N, C, H, W) of any dtype, 0 where missing, and their observed-indicators."""
    save_arrays(path, metadata=metadata, images=images, observed=pack_observed(observed))


def pack_observed(observed: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Indicators, eight a byte, as `load_observed` reads them."""
    return np.packbits(observed)


def load_observed(path: Path) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Images of any dtype and observed bool, both (N, C, H, W).

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
