"""Checks of what the library's public functions are given: shapes, dtypes and ranges, once, at the door.

For torch tensors and numpy arrays alike. Values at missing pixels are never looked at. Each check raises an
`InputError` that names the argument, what was wrong with it and what is allowed; none changes anything.
"""

import math
import numbers
from collections.abc import Collection
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
    check_array("observed", observed, tuple(like.shape), "bool")
    if type(observed).__module__ != type(like).__module__:
        raise InputError(f"observed: of {type(observed).__module__}; allowed: of {type(like).__module__}, as {name} is")
    if getattr(observed, "device", None) != getattr(like, "device", None):
        raise InputError(f"observed: on {observed.device}; allowed: on {like.device}, where {name} is")


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


def check_incomplete_images(images: Any, observed: Any, *, square: bool = False) -> None:
    """Incomplete images to fit to: uint8 and observed bool (N, 1, H, W), at least one pixel observed."""
    _check_tensors(images=images, observed=observed)
    check_array("images", images, ("N", 1, "H", "W"), "uint8")
    if square:
        check_square(images)
    check_observed(observed, images, "images")
    if not bool(observed.any()):
        raise InputError("observed: no pixel of any image is observed; allowed: at least one")


def check_square(images: Any) -> None:
    """Images (N, 1, H, H)."""
    if images.shape[2] != images.shape[3]:
        raise InputError(f"images: {images.shape[2]} x {images.shape[3]}; allowed for this fit: square images")


def check_unit_images(x_obs: Any, observed: Any) -> None:
    """Incomplete images to complete: x_obs float32 in [0, 1] where observed, and observed bool, (B, 1, H, W)."""
    _check_tensors(x_obs=x_obs, observed=observed)
    check_array("x_obs", x_obs, ("B", 1, "H", "W"), "float32")
    check_observed(observed, x_obs, "x_obs")
    check_range("x_obs", x_obs, 0, 1, where=observed)


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
