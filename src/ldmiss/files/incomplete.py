"""Incomplete images as a person's files hold them: values, which of them are known, and the form of the files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ldmiss.errors import InputError, one_line

MAX_INTEGER = 2**53
"""Up to here a 64-bit integer is exact as a float64, in which everything is computed that has units."""
_SHOWN = 5
FAR = 50
"""Interquartile ranges between the middle and a value that is hardly one of the rest."""


@dataclass(frozen=True)
class Layout:
    """How the files held the images, so that results take the same form; `asdict` and `Layout(**...)` for JSON.

    Attributes:
        channels_last: an array (N, H, W, C) rather than (N, H, W).
        names: of a folder, the files' names without suffix, in the order of the images.
        suffix: of a folder, the one that results get: ".tif" if all files are TIFF, else ".png".
        alpha: of a folder, whether its images have an alpha channel.
    """

    channels_last: bool
    names: list[str] | None = None
    suffix: str = ".png"
    alpha: bool = False


@dataclass(frozen=True)
class IncompleteImages:
    """Incomplete images.

    Attributes:
        values: (N, C, H, W), the file's own dtype and units; anything at missing pixels.
        observed: bool (N, C, H, W), True where the value is known.
        layout: the form of the files.
    """

    values: NDArray[Any]
    observed: NDArray[np.bool_]
    layout: Layout

    @property
    def names(self) -> list[str] | None:
        return self.layout.names

    def label(self, index: int) -> str:
        """What a message calls an image: its name, or its number, counted from 0."""
        return one_line(self.layout.names[index], longest=80) if self.layout.names else str(index)


def check_images(images: IncompleteImages, path: Path) -> None:
    """What no model can use, in one line that names the file.

    Raises:
        InputError: infinite or too large values, or a channel without two different values, at observed pixels.
    """
    values, observed = images.values, images.observed
    if values.dtype.kind == "f":
        advice = "inf is no value; allowed: finite values (mark what is missing as NaN)"
        _refuse_some(images, np.isinf(values) & observed, f"{path}: infinite values", advice)
    if values.dtype.itemsize == 8:
        limit = MAX_INTEGER if values.dtype.kind in "iu" else float(np.finfo(np.float32).max)
        advice = f"allowed: up to {limit:.4g}; if such a value marks what is missing, give it as missing_value"
        _refuse_some(images, ((values > limit) | (values < -limit)) & observed, f"{path}: values too large", advice)
    num_channels = values.shape[1]
    for channel in range(num_channels):
        where = f"{path}, channel {channel}" if num_channels > 1 else str(path)
        known = values[:, channel][observed[:, channel]]
        if known.size == 0:
            raise InputError(
                f"{where}: nothing is observed; allowed: at least two values (is mask the right way round?)"
            )
        if known.min() == known.max():
            raise InputError(f"{where}: all observed values are {known[0]}; allowed: at least two different ones")


def _refuse_some(images: IncompleteImages, wrong: NDArray[np.bool_], what: str, advice: str) -> None:
    if wrong.any():
        first = images.label(int(wrong.any(axis=(1, 2, 3)).argmax()))
        raise InputError(f"{what} at {int(wrong.sum())} observed places, the first in image {first}; {advice}")


def summary(images: IncompleteImages) -> str:
    """How many images of which shape and dtype, and how much of them is missing."""
    number, channels, height, width = images.values.shape
    kind = f"{number} image{'s' * (number != 1)} of {height} x {width}, {channels} channel{'s' * (channels != 1)}"
    return f"{kind}, {images.values.dtype}; {1 - images.observed.mean():.1%} of the values missing"


def warnings(images: IncompleteImages) -> list[str]:
    """What is allowed but worth a look, one line each; none if there is nothing."""
    observed = images.observed
    lines = []
    if len(observed) == 1:
        lines.append("a single image: a model of one image is of little worth")
    if observed.all():
        lines.append("nothing is missing: is it marked in a way that neither missing_value nor mask states?")
    empty = np.flatnonzero(~observed.any(axis=(1, 2, 3)))
    if empty.size:
        lines.append(f"without any observed value, so their completions are mere samples: {_listed(images, empty)}")
    unseen = ~observed.any(axis=0)
    if unseen.any():
        _, row, column = np.argwhere(unseen)[0]
        lines.append(
            f"{int(unseen.sum())} of {unseen.size} values of an image are observed in none (the first in row {row}, "
            f"column {column}, counted from 0): what is put there is learned from no example"
        )
    partly = observed.any(axis=1) & ~observed.all(axis=1)
    if partly.any():
        lines.append(
            f"{int(partly.sum())} pixels are observed in some of their channels only; if missing_value is also a true "
            "value of a channel, mark what is missing by an alpha channel or a mask instead"
        )
    lines += [line for channel in range(images.values.shape[1]) if (line := _far_value(images, channel))]
    constant = np.array([_is_constant(x[known]) for x, known in zip(images.values, observed, strict=True)])
    if constant.any():
        lines.append(f"with one and the same value at all observed places: {_listed(images, np.flatnonzero(constant))}")
    return lines


def _far_value(images: IncompleteImages, channel: int) -> str:
    """A line on the value of a channel that lies farthest from the rest; empty if it is one of them."""
    known = images.values[:, channel][images.observed[:, channel]].astype(np.float64)
    low, middle, high = np.quantile(known, (0.25, 0.5, 0.75))
    farthest = max(known.min(), known.max(), key=lambda value: abs(value - middle))
    if not abs(farthest - middle) > FAR * (high - low) > 0:
        return ""
    return (
        f"channel {channel}: {farthest:g} lies far from the rest, of which half is within {low:g} to {high:g}: if it "
        "marks what is missing, give it as missing_value; if it is wrong, mark it as missing: it spoils all scales"
    )


def _is_constant(known: NDArray[Any]) -> bool:
    return known.size > 1 and bool((known == known[0]).all())


def _listed(images: IncompleteImages, indices: NDArray[np.intp]) -> str:
    shown = ", ".join(images.label(index) for index in indices[:_SHOWN])
    return f"{len(indices)} of {len(images.values)} images ({shown}{', ...' * (len(indices) > _SHOWN)})"
