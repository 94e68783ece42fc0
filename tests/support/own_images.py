"""Incomplete images in a person's files, and what must come back."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ldmiss.errors import InputError
from ldmiss.files.images import read_images
from support.cases import refusal


def random_values(shape: tuple[int, ...], dtype: str, seed: int = 0) -> NDArray[Any]:
    """Values all over the range of the dtype (integers) or of all orders of magnitude (floats)."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return (rng.normal(size=shape) * 10.0 ** rng.integers(-3, 4, shape)).astype(dtype)
    limits = np.iinfo(dtype)
    low, high = max(limits.min, -(2**53)), min(limits.max, 2**53)
    return rng.integers(low, high, shape, endpoint=True).astype(dtype)


def random_observed(shape: tuple[int, ...], seed: int = 1) -> NDArray[np.bool_]:
    return np.random.default_rng(seed).random(shape) < 0.6


def save_image(path: Path, pixels: NDArray[Any], **options: Any) -> None:
    """(H, W) or (H, W, C) as Pillow writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def refused(path: Path, *, names: str | None = None, **marks: Any) -> str:
    """The one line with which a path is refused; it names the path, or `names`."""
    with pytest.raises(InputError) as error:
        read_images(path, **marks)
    message = refusal(error.value, names=names or str(path))
    assert "; allowed: " in message, message
    return message
