"""Checks of what the library's public functions are given: shapes, dtypes and ranges, once, at the door.

For torch tensors and numpy arrays alike. Values at missing pixels are never looked at. Each check raises an
`InputError` that names the argument, what was wrong with it and what is allowed; none changes anything.
"""

import math
import numbers
from collections.abc import Collection, Sequence
from typing import Any

from ldmiss.errors import InputError

Shape = tuple[int | str, ...]
"""A size of each axis: a number for this very size, a letter for any of at least 1 (the same letter for the same)."""


def check_array(name: str, value: Any, shape: Shape, *dtypes: str) -> None:
    """A tensor or array of a shape and of one of some dtypes, by their names."""
    found, dtype = tuple(getattr(value, "shape", ())), _dtype_of(value)
    sizes: dict[int | str, int] = {}
    fits = len(found) == len(shape) and all(
        size >= 1 and size == (wanted if isinstance(wanted, int) else sizes.setdefault(wanted, size))
        for size, wanted in zip(found, shape, strict=True)
    )
    if not fits or dtype not in dtypes:
        raise InputError(f"{name}: {dtype} {_text(found)}; allowed: {' or '.join(dtypes)} {_text(shape)}")


def check_observed(observed: Any, like: Any, name: str) -> None:
    """Observed-indicators: bool, of the shape and on the device of `like`, the argument called `name`."""
    check_indicators("observed", observed, like, name)


def check_indicators(own: str, indicators: Any, like: Any, name: str) -> None:
    """Indicators called `own`: bool, of the shape and on the device of `like`, the argument called `name`."""
    check_array(own, indicators, tuple(like.shape), "bool")
    if type(indicators).__module__ != type(like).__module__:
        raise InputError(f"{own}: of {type(indicators).__module__}; allowed: of {type(like).__module__}, as {name} is")
    if getattr(indicators, "device", None) != getattr(like, "device", None):
        raise InputError(f"{own}: on {indicators.device}; allowed: on {like.device}, where {name} is")


def check_range(name: str, value: Any, low: float, high: float, *, where: Any = None) -> None:
    """Values in [low, high], which NaN is not; looked at only where `where` (bool, of the same shape) is True."""
    inside = (value >= low) & (value <= high)
    if not bool((inside if where is None else inside | ~where).all()):
        at = "" if where is None else " at observed pixels"
        raise InputError(f"{name}: values outside [{low:g}, {high:g}], or NaN{at}; allowed: [{low:g}, {high:g}]")


def check_finite(name: str, value: Any, *, where: Any = None) -> None:
    """Finite values; looked at only where `where` (bool, of the same shape) is True."""
    finite = abs(value) < math.inf
    if not bool((finite if where is None else finite | ~where).all()):
        at = "" if where is None else " at the pixels that count"
        raise InputError(f"{name}: NaN or infinite{at}; allowed: finite values")


def check_choice(name: str, value: Any, allowed: Collection[Any]) -> None:
    """One of the choices that there are."""
    if value not in list(allowed):
        raise InputError(f"{name}: unknown {value!r}; allowed: {', '.join(map(str, allowed))}")


def check_count(name: str, value: Any, *, least: int = 1) -> None:
    """A whole number, at least `least`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or int(value) < least:
        raise InputError(f"{name}: {value!r}; allowed: a whole number, at least {least}")


def check_number(
    name: str,
    value: Any,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    most: float = math.inf,
    below: float = math.inf,
) -> None:
    """A finite number within its bounds: `least` and `most` are allowed themselves, `above` and `below` are not."""
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not (number and least <= value <= most and above < value < below):
        bounds = {"at least": least, "above": above, "at most": most, "below": below}
        words = [f"{word} {bound:g}" for word, bound in bounds.items() if math.isfinite(bound)]
        raise InputError(f"{name}: {value!r}; allowed: {', '.join(['a finite number', *words])}")


LEAST_SIZE = 8
"""Of an image's height and width: smaller ones are gone before the networks' levels are."""


def check_incomplete_images(images: Any, observed: Any) -> None:
    """Incomplete images to fit to: as to complete, large enough for the networks, and not all of them missing."""
    check_images_to_complete(images, observed, "images")
    check_size("images", images.shape[2:])
    if not bool(observed.any()):
        raise InputError("observed: no pixel of any image is observed; allowed: at least one")


def check_size(name: str, size: Sequence[int]) -> None:
    """(height, width) of images, each at least `LEAST_SIZE`."""
    if min(size) < LEAST_SIZE:
        raise InputError(f"{name}: {size[0]} x {size[1]} pixels; allowed: at least {LEAST_SIZE} x {LEAST_SIZE}")


def check_images_to_complete(x_obs: Any, observed: Any, name: str = "x_obs") -> None:
    """Incomplete images: scaled float32, finite where observed, and observed bool, (B, C, H, W)."""
    _check_tensors(**{name: x_obs}, observed=observed)
    check_array(name, x_obs, ("B", "C", "H", "W"), "float32")
    check_observed(observed, x_obs, name)
    check_finite(name, x_obs, where=observed)


def _check_tensors(**values: Any) -> None:
    """Tensors of torch, whose import this module does without."""
    for name, value in values.items():
        if type(value).__module__.split(".")[0] != "torch":
            raise InputError(f"{name}: {type(value).__name__}; allowed: a torch tensor, as from torch.from_numpy")


def _dtype_of(value: Any) -> str:
    """`uint8` for torch's and numpy's; the type's name for what has no dtype."""
    return str(getattr(value, "dtype", type(value).__name__)).removeprefix("torch.")


def _text(shape: Shape) -> str:
    return f"({', '.join(map(str, shape))}{',' * (len(shape) == 1)})"
