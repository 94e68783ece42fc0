"""Folders of PNG, TIFF and JPEG images, read and written by Pillow.

Only what Pillow reads exactly is read. It reads more, but changes it without a word: of 16 bits per colour it keeps 8,
low bit depths are stretched to 8, of compressed big-endian floats it mixes up the bytes (Pillow 13.0).
"""

import itertools
import struct
import warnings
import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ldmiss.checks import LEAST_SIZE
from ldmiss.errors import InputError, one_line
from ldmiss.files.atomic import atomic_write
from ldmiss.files.npz import MAX_ARRAY_BYTES

_FORMATS = {".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF", ".jpg": "JPEG", ".jpeg": "JPEG"}
_EXACT = {"L", "LA", "RGB", "RGBA", "I;16", "I;16B", "I;16N", "I;16S", "I;32S", "F;32F"}
"""The kinds of pixels, by Pillow's names for them (raw modes), that it reads as they are in any file,"""
_EXACT_UNCOMPRESSED = {"I;16BS", "I;32BS", "F;32BF"}
"""and those that it reads as they are in uncompressed TIFF only."""
_OF_WINDOWS = ("Thumbs.db", "desktop.ini")
"""What its Explorer leaves in folders of pictures."""
_SAMPLE_FORMAT, _SIGNED = 339, 2
_ALLOWED = (
    "allowed: 8 bits in grey or RGB, with or without alpha, 16 bits in grey, and TIFF in grey of 32-bit floats or "
    "signed integers; keep others as .npz or .npy"
)
_ERRORS = (
    Image.DecompressionBombError, OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError,
    OverflowError, MemoryError, RuntimeError, AttributeError, ZeroDivisionError, struct.error, zlib.error,
)  # fmt: skip
"""What Pillow raises for damaged files."""


def format_of(path: Path) -> str:
    """ "PNG", "TIFF" or "JPEG", for a file of `list_images`."""
    return _FORMATS[path.suffix.lower()]


def list_images(folder: Path) -> list[Path]:
    """The images of a folder, in the order of their names without suffix ("img10" before "img2"); no hidden files.

    Raises:
        InputError: none, something else beside them, or two of one name.
    """
    entries = (path for path in folder.iterdir() if not path.name.startswith(".") and path.name not in _OF_WINDOWS)
    paths = sorted(entries, key=lambda path: path.stem)
    others = [path.name for path in paths if path.suffix.lower() not in _FORMATS or not path.is_file()]
    if others or not paths:
        what = f"{len(others)} entries that are no images, the first {one_line(others[0])!r}" if others else "no image"
        raise InputError(f"{folder}: {what}; allowed: PNG, TIFF or JPEG files alone, or the folders images and masks")
    for path, following in itertools.pairwise(paths):
        if path.stem == following.stem:
            raise InputError(f"{folder}: both {path.name} and {following.name}; allowed: one image of each name")
    return paths


def read_pictures(paths: Sequence[Path], *, masks: bool = False) -> NDArray[Any]:
    """Images of one size and kind, their pixels as they are in the files.

    Args:
        paths: at least one.
        masks: allow 1-bit images, as 0 and 255, and refuse JPEG.

    Returns:
        (N, C, H, W) uint8, uint16, int32 or float32, alpha being the last channel of two or four.

    Raises:
        InputError: damaged or too large files, several pages, kinds of image not read, or sizes or kinds that differ.
    """
    first = _read_picture(paths[0], masks)
    if first.nbytes * len(paths) > MAX_ARRAY_BYTES:
        raise InputError(f"{paths[0].parent}: more than {MAX_ARRAY_BYTES} bytes of images; allowed: at most so many")
    pictures = np.empty((len(paths), *first.shape), first.dtype)
    for index, path in enumerate(paths):
        picture = _read_picture(path, masks)
        if (picture.shape, picture.dtype) != (first.shape, first.dtype):
            found = f"{_kind(first)} in {paths[0].name}, {_kind(picture)} in {path.name}"
            raise InputError(f"{path.parent}: {found}; allowed: images of one size and kind")
        pictures[index] = picture
    return np.ascontiguousarray(np.moveaxis(pictures, -1, 1))


def _read_picture(path: Path, mask: bool) -> NDArray[Any]:
    """(H, W, C) in the byte order of this machine."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is odd in metadata, which is not used
            with Image.open(str(path), formats=[format_of(path)]) as image:
                _check_picture(path, image, mask)
                picture = np.asarray(image.convert("L") if image.mode == "1" else image)  # 0 and 255, not odd bools
    except InputError:
        raise
    except _ERRORS as error:
        raise InputError(f"{path}: damaged, or of a kind that is not read ({one_line(error)}); {_ALLOWED}") from None
    return picture.astype(picture.dtype.newbyteorder("="), copy=False).reshape(*picture.shape[:2], -1)


def _check_picture(path: Path, image: Image.Image, mask: bool) -> None:
    """Whether Pillow will read an opened image as it is."""
    width, height = image.size
    if min(width, height) < LEAST_SIZE:
        raise InputError(f"{path}: {height} x {width}; allowed: at least {LEAST_SIZE} x {LEAST_SIZE}")
    if getattr(image, "n_frames", 1) > 1:
        raise InputError(f"{path}: several pages; allowed: one image a file")
    if mask and format_of(path) == "JPEG":
        raise InputError(
            f"{path}: JPEG, which blurs the edges of a mask; allowed: PNG or TIFF of two values (threshold)"
        )
    forms = _forms(image)
    if not all(_is_exact(image, codec, raw_mode, mask) for codec, raw_mode in forms):
        kinds = ", ".join(sorted({raw_mode for _, raw_mode in forms}))
        raise InputError(f"{path}: {image.format} whose pixels are {kinds} ({image.mode} to Pillow); {_ALLOWED}")
    if "transparency" in image.info:
        raise InputError(f"{path}: a transparent colour; allowed: an alpha channel, or missing_value")


def _forms(image: Image.Image) -> set[tuple[str, str]]:
    """How the pixels of an opened image are packed (Pillow's codec), and what they are (its raw mode)."""
    tiles: list[Any] = getattr(image, "tile", [])
    return {(tile[0], tile[3] if isinstance(tile[3], str) else tile[3][0]) for tile in tiles}


def _is_exact(image: Image.Image, codec: str, raw_mode: str, mask: bool) -> bool:
    if image.mode == "L" and _SIGNED in getattr(image, "tag_v2", {}).get(_SAMPLE_FORMAT, ()):
        return False  # signed bytes, which Pillow takes for unsigned ones
    return raw_mode in _EXACT or (codec == "raw" and raw_mode in _EXACT_UNCOMPRESSED) or (mask and raw_mode == "1")


def _kind(picture: NDArray[Any]) -> str:
    height, width, channels = picture.shape
    return f"{height} x {width} with {channels} channel{'s' * (channels > 1)} of {picture.dtype}"


def write_pictures(folder: Path, names: Sequence[str], pictures: NDArray[Any], *, suffix: str) -> None:
    """Write (N, C, H, W) uint8, uint16, int32 or float32 as `<folder>/<name><suffix>`, each of them atomically."""
    for name, picture in zip(names, np.moveaxis(pictures, 1, -1), strict=True):
        image = Image.fromarray(np.ascontiguousarray(picture[..., 0] if picture.shape[-1] == 1 else picture))
        atomic_write(folder / f"{name}{suffix}", partial(image.save, format=_FORMATS[suffix]))
