"""The mechanisms by name: which pixels of an image stay, and images without those that do not (numpy only).

`observed` is True where the value is known (the paper's m = 1, section 4). docs/mechanisms.md has the law of each.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ldmiss.checks import check_array, check_choice, check_finite, check_observed, check_range
from ldmiss.errors import InputError
from ldmiss.missingness.blocks import block
from ldmiss.missingness.borrowed import borrowed
from ldmiss.missingness.completely_at_random import columns, mcar, rows
from ldmiss.missingness.logistic import mar, mnar

Mechanism = Callable[..., NDArray[np.bool_]]
"""(images, known, rate, rng, **settings) -> keep, as in `mcar`; settings are keyword-only, with defaults."""

MECHANISMS: dict[str, Mechanism] = {
    "mcar": mcar, "mar": mar, "mnar": mnar, "block": block, "rows": rows, "columns": columns, "borrowed": borrowed,
}  # fmt: skip
"""To add one: a function with such a signature, its line here, and, if it has settings, a section of the params."""

REAL = (
    "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16", "float32", "float64",
)  # fmt: skip
LARGEST = 1e150
"""The square of a larger value, in a standard deviation, would be infinite."""


def settings_of(mechanism: str) -> dict[str, Any]:
    """The settings of a mechanism, with their defaults."""
    parameters = inspect.signature(MECHANISMS[mechanism]).parameters.values()
    return {each.name: each.default for each in parameters if each.kind is each.KEYWORD_ONLY}


def draw_observed(
    mechanism: str,
    images: NDArray[Any],
    rate: float | None,
    rng: np.random.Generator,
    known: NDArray[np.bool_] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> NDArray[np.bool_]:
    """Draw which pixels of some images are observed, with the named mechanism.

    Args:
        mechanism: a name in `MECHANISMS`.
        images: (N, C, H, W) of any real dtype.
        rate: in [0, 1): the share of the known pixels that is missing in expectation. None: as the mechanism has it,
            which only borrowed does.
        rng: the source of all random numbers.
        known: bool (N, C, H, W), what there is to begin with; None: everything. Values elsewhere are never looked at.
        settings: of the mechanism; None: its defaults.

    Returns:
        observed: bool (N, C, H, W), what is known and stays.

    Raises:
        InputError: unknown mechanism or setting, or a setting out of range; a rate outside [0, 1), or that cannot be
            reached; images, `known`, or indicators of the mechanism of another shape or dtype; NaN, infinite or huge
            values where known; nothing known.
    """
    check_choice("mechanism", mechanism, MECHANISMS)
    check_array("images", images, ("N", "C", "H", "W"), *REAL)
    if rate is None and mechanism != "borrowed":
        raise InputError(f"missing rate: None with mechanism {mechanism}; allowed: a number in [0, 1)")
    if rate is not None and not 0.0 <= rate < 1.0:
        raise InputError(f"missing rate: {rate} is outside [0, 1)")
    for name in settings or {}:
        check_choice(f"setting of mechanism {mechanism}", name, settings_of(mechanism))
    known = np.ones(images.shape, dtype=bool) if known is None else known
    check_observed(known, images, "images")
    if not known.any():
        raise InputError("known: no pixel of any image is known; allowed: at least one")
    if images.dtype == np.float64:
        check_range("images", images, -LARGEST, LARGEST, where=known)
    elif images.dtype.kind == "f":
        check_finite("images", images, where=known)
    keep = MECHANISMS[mechanism](images, known, rate, rng, **(settings or {}))
    check_observed(keep, images, "images")
    return known & keep


def remove_missing(images: NDArray[Any], observed: NDArray[np.bool_]) -> NDArray[Any]:
    """Zero-impute: the images with 0 wherever they are not observed, so that the truth there goes no further.

    Args and result: (N, C, H, W) of any real dtype, bool (N, C, H, W) -> (N, C, H, W) of that dtype.

    Raises:
        InputError: another shape or dtype.
    """
    check_array("images", images, ("N", "C", "H", "W"), *REAL)
    check_observed(observed, images, "images")
    return np.where(observed, images, images.dtype.type(0))
