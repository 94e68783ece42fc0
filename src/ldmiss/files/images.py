"""A person's own incomplete images: an npz or npy file, or a folder of images; docs/own-images.md has the rules."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ldmiss.checks import LEAST_SIZE, check_choice, check_number
from ldmiss.errors import InputError, one_line
from ldmiss.files.image_folder import format_of, list_images, read_pictures
from ldmiss.files.incomplete import IncompleteImages, Layout, check_images
from ldmiss.files.npz import MAX_ARRAY_BYTES, READ_ERRORS, read_member, read_npy

POLARITIES = ("observed", "missing")
"""What a mask is True (not 0) for."""


def read_images(path: Path, *, missing_value: float | None = None, mask: str | None = None) -> IncompleteImages:
    """Read incomplete images. A value is missing if any of the marks says so: NaN, `missing_value`, mask, or alpha 0.

    Args:
        path: an npz (with `images`, or one array only, and perhaps `mask`), an npy, or a folder of PNG, TIFF or JPEG
            files, perhaps in its folder `images` beside one with `masks` of the same names. Arrays are (N, H, W) or
            (N, H, W, C), channels last; masks so, too, or (N, H, W, 1).
        missing_value: every value equal to it, in whichever channel, is missing.
        mask: what the nonzero values of the masks mean, "observed" or "missing"; None if there are no masks.

    Raises:
        InputError: what docs/own-images.md says is refused.
    """
    if mask is not None:
        check_choice("mask", mask, POLARITIES)
    images, masks = _read_folder(path, missing_value) if path.is_dir() else _read_array_file(path)
    if (masks is None) != (mask is None):
        found = "masks, but no word on what they mean" if mask is None else f"no masks, but mask is {mask!r}"
        raise InputError(f"{path}: {found}; allowed: with masks, mask=observed or mask=missing, what is not 0 in them")
    observed = images.observed  # changed in place
    if images.values.dtype.kind == "f":
        observed &= ~np.isnan(images.values)
    if missing_value is not None:
        observed &= ~_equal_to(path, images, missing_value)
    if masks is not None:
        observed &= _marked(path, masks, images.values.shape) == (mask == "observed")
    check_images(images, path)
    return images


def _read_folder(path: Path, missing_value: float | None) -> tuple[IncompleteImages, NDArray[Any] | None]:
    """Images, observed where they are opaque, and masks (N, C', H, W)."""
    nested = (path / "images").is_dir()
    paths = list_images(path / "images" if nested else path)
    if missing_value is not None and any(format_of(image) == "JPEG" for image in paths):
        raise InputError(f"missing_value: not with JPEG, as in {path}, which changes values; allowed: with PNG or TIFF")
    if nested:
        _refuse_like_masks(path, [entry.name for entry in path.iterdir() if entry.name != "masks"], "masks")
    masks = _read_masks(path, paths) if nested and (path / "masks").is_dir() else None
    values = read_pictures(paths)
    observed = np.ones(values.shape, bool)
    alpha = values.shape[1] in (2, 4)
    if alpha:
        values, opacity = np.ascontiguousarray(values[:, :-1]), values[:, -1:]
        soft = ((opacity > 0) & (opacity < 255)).any(axis=(1, 2, 3))
        if soft.any():
            name = paths[int(soft.argmax())]
            raise InputError(f"{name}: alpha between 0 and 255; allowed: 0 (missing) or 255 (observed): threshold it")
        observed = np.repeat(opacity == 255, values.shape[1], axis=1)
    suffix = ".tif" if all(format_of(image) == "TIFF" for image in paths) else ".png"
    layout = Layout(values.shape[1] > 1, [image.stem for image in paths], suffix, alpha)
    return IncompleteImages(values, observed, layout), masks


def _refuse_like_masks(path: Path, names: list[str], allowed: str) -> None:
    """Masks under another name than the allowed one, which would be lost without a word."""
    like = [name for name in names if any(word in name.lower() for word in ("mask", "observed", "missing"))]
    if like:
        raise InputError(f"{path}: {one_line(like[0])!r} beside images; allowed: masks by the name {allowed}")


def _read_masks(path: Path, image_paths: list[Path]) -> NDArray[Any]:
    paths = list_images(path / "masks")
    unpaired = {image.stem for image in image_paths} ^ {mask.stem for mask in paths}
    if unpaired:
        found = f"{len(unpaired)} names in only one of images and masks, the first {one_line(min(unpaired))!r}"
        raise InputError(f"{path}: {found}; allowed: one mask for each image, of the same name but for the suffix")
    return read_pictures(paths, masks=True)


def _read_array_file(path: Path) -> tuple[IncompleteImages, NDArray[Any] | None]:
    """Images, all observed, and masks (N, C', H, W)."""
    values, masks = _load_arrays(path)
    if values.dtype.kind not in "iuf" or values.dtype.itemsize > 8:
        raise InputError(f"{path}: images of dtype {values.dtype}; allowed: integers or floats of at most 64 bits")
    channels_last = values.ndim == 4
    values = _channels_first(path, "images", values)
    if masks is not None:
        masks = _channels_first(path, "mask", masks)
    return IncompleteImages(values, np.ones(values.shape, bool), Layout(channels_last)), masks


def _load_arrays(path: Path) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Images and mask of an npz or npy, as they are."""
    suffix = path.suffix.lower()
    if suffix not in (".npz", ".npy"):
        raise InputError(f"{path}: {suffix or 'no suffix'}; allowed: an .npz or .npy file, or a folder of images")
    if not path.is_file():
        raise InputError(f"{path}: missing file; allowed: an .npz or .npy file, or a folder of images")
    try:
        if suffix == ".npy":
            with path.open("rb") as file:
                return read_npy(file.read(MAX_ARRAY_BYTES + 1), path.name), None
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            others = [name for name in names if name != "mask"]
            if "images" not in names and len(others) != 1:
                raise InputError(f"{path}: the arrays {one_line(others)}; allowed: images, or one array, and mask")
            _refuse_like_masks(path, others, "mask")
            images = read_member(archive, f"{'images' if 'images' in names else others[0]}.npy")
            return images, read_member(archive, "mask.npy") if "mask" in names else None
    except InputError:
        raise
    except READ_ERRORS as error:
        raise InputError(
            f"{path}: damaged ({one_line(error)}); allowed: an {suffix} of numbers, without pickles"
        ) from None


def _channels_first(path: Path, name: str, array: NDArray[Any]) -> NDArray[Any]:
    """(N, H, W) or (N, H, W, C) as (N, C, H, W), in the byte order of this machine."""
    if array.ndim not in (3, 4) or min(array.shape) < 1 or min(array.shape[1:3]) < LEAST_SIZE:
        raise InputError(
            f"{path}: {name} of shape {array.shape}; allowed: (images, height, width) or (images, height, width, "
            f"channels), channels last, height and width at least {LEAST_SIZE}"
        )
    moved = array[:, None] if array.ndim == 3 else np.moveaxis(array, -1, 1)
    return np.ascontiguousarray(moved, dtype=array.dtype.newbyteorder("="))


def _equal_to(path: Path, images: IncompleteImages, missing_value: float) -> NDArray[np.bool_]:
    """Where the values are `missing_value`, as their dtype has it."""
    check_number("missing_value", missing_value)
    dtype = images.values.dtype
    if dtype.kind == "f":
        fits = abs(missing_value) <= float(np.finfo(dtype).max)
    else:
        fits = float(missing_value).is_integer() and np.iinfo(dtype).min <= missing_value <= np.iinfo(dtype).max
    if not fits:
        raise InputError(
            f"missing_value: {missing_value} is no {dtype}, as the images of {path} are; allowed: a {dtype}"
        )
    equal: NDArray[np.bool_] = images.values == dtype.type(missing_value)
    if not equal.any():
        raise InputError(f"missing_value: {missing_value} is nowhere in {path}; allowed: a value that is")
    return equal


def _marked(path: Path, masks: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Where masks are not 0, bool; they hold 0 and one other value."""
    if masks.shape not in (shape, (shape[0], 1, *shape[2:])):
        size = "x".join(map(str, masks.shape))
        allowed = "as many masks, of the images' height and width, of one channel or as many as they have"
        raise InputError(
            f"{path}: masks {size} for images {'x'.join(map(str, shape))} (N x C x H x W); allowed: {allowed}"
        )
    if masks.dtype.kind not in "biuf":
        raise InputError(f"{path}: masks of dtype {masks.dtype}; allowed: bool, integers or floats")
    marked: NDArray[np.bool_] = masks != 0
    other = masks[marked][:1]  # nothing, if all are 0
    soft = masks[marked & ~(masks == other)] if other.size else other
    if soft.size:
        raise InputError(
            f"{path}: masks of the values 0, {other[0]} and {soft[0]}; allowed: 0 and one other (threshold)"
        )
    return marked
