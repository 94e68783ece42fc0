"""Completed images in the form of the files that they came from, observed values bit for bit."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ldmiss.checks import check_array, check_finite
from ldmiss.errors import InputError
from ldmiss.files.atomic import atomic_write
from ldmiss.files.image_folder import write_pictures
from ldmiss.files.incomplete import MAX_INTEGER, IncompleteImages

_IMAGES_AT_A_TIME = 64
"""Converted in float64, to spare memory."""


@dataclass(frozen=True)
class Completed:
    """What is delivered; observed values are bit for bit those given.

    Attributes:
        images: the mean of the draws, (N, C, H, W) in the dtype of the data.
        draws: (N, K, C, H, W), likewise.
        sd: standard deviation of the draws in the units of the data, float32 (N, C, H, W); 0 at observed pixels, and
            everywhere for a single draw.
    """

    images: NDArray[Any]
    draws: NDArray[Any]
    sd: NDArray[np.float32]


def complete_images(
    images: IncompleteImages, draws: NDArray[np.floating], to_units: Callable[[NDArray[Any]], NDArray[np.float64]]
) -> Completed:
    """Put draws into incomplete images.

    Args:
        images: the incomplete images.
        draws: (N, K, C, H, W), scaled; never looked at where pixels are observed.
        to_units: such draws to float64 in the units of the data, see `Scaler.from_scaled`.

    Raises:
        InputError: another shape, or values that are not finite at missing pixels.
    """
    values, observed = images.values, images.observed
    check_array("draws", draws, (values.shape[0], "K", *values.shape[1:]), "float16", "float32", "float64")
    num_draws = draws.shape[1]
    completed = Completed(
        np.empty(values.shape, values.dtype), np.empty(draws.shape, values.dtype), np.empty(values.shape, np.float32)
    )
    for start in range(0, len(values), _IMAGES_AT_A_TIME):
        part = slice(start, start + _IMAGES_AT_A_TIME)
        of_part = to_units(draws[part])
        completed.images[part] = paste_into(values[part], observed[part], of_part.mean(axis=1))
        completed.draws[part] = paste_into(values[part, None], observed[part, None], of_part)
        sd = of_part.std(axis=1, ddof=1) if num_draws > 1 else np.zeros(of_part[:, 0].shape)
        completed.sd[part] = np.where(observed[part], 0, sd)
    return completed


def paste_into(values: NDArray[Any], observed: NDArray[np.bool_], completed: NDArray[np.float64]) -> NDArray[Any]:
    """Completed values in the dtype of the data, and the observed values as they were.

    Args:
        values, observed: of incomplete images, broadcastable to `completed`.
        completed: in the units of the data; never looked at where pixels are observed. Integers are rounded to the
            nearest, and all is clipped to what the dtype holds.

    Raises:
        InputError: values that are not finite at missing pixels.
    """
    check_finite("completed", completed, where=~observed)
    dtype = values.dtype
    filled = np.where(observed, 0, completed)
    if dtype.kind == "f":
        low, high = float(np.finfo(dtype).min), float(np.finfo(dtype).max)
    else:
        low, high = max(np.iinfo(dtype).min, -MAX_INTEGER), min(np.iinfo(dtype).max, MAX_INTEGER)
        filled = np.rint(filled)
    return np.where(observed, values, np.clip(filled, low, high).astype(dtype))


def write_npz(path: Path, images: IncompleteImages, completed: Completed) -> None:
    """Write `images` (the completed ones), `draws`, `sd` and `observed`, and `names` if the images came from a folder.

    Args:
        path: an npz; the same content gives the same bytes.
        images: the incomplete images, whose layout the arrays have: (N, H, W) or (N, H, W, C), and the draws
            (N, K, H, W) or (N, K, H, W, C).
        completed: of `complete_images`.
    """
    arrays = {
        "images": completed.images, "draws": completed.draws, "sd": completed.sd, "observed": images.observed
    }  # fmt: skip
    laid_out = {name: _as_in_file(images, array) for name, array in arrays.items()}
    names = {} if images.names is None else {"names": np.array(images.names)}
    atomic_write(path, lambda file: np.savez_compressed(file, **laid_out, **names))  # type: ignore[arg-type]


def _as_in_file(images: IncompleteImages, array: NDArray[Any]) -> NDArray[Any]:
    """(..., C, H, W) as (..., H, W, C), or as (..., H, W) if the file had no axis of channels."""
    last = np.moveaxis(array, -3, -1)
    return last if images.layout.channels_last else last[..., 0]


def write_folder(folder: Path, images: IncompleteImages, completed: NDArray[Any]) -> None:
    """Write completed images (N, C, H, W) as files of the names, kind and depth of those they came from.

    An alpha channel is 255 everywhere. What came as JPEG goes as PNG, which changes no observed value.

    Raises:
        InputError: images that came from no folder.
    """
    if images.names is None:
        raise InputError(f"{folder}: images of an array have no names; allowed: a folder if they came from one")
    pictures = completed
    if images.layout.alpha:
        pictures = np.concatenate([pictures, np.full_like(pictures[:, :1], 255)], axis=1)
    write_pictures(folder, images.names, pictures, suffix=images.layout.suffix)
