"""From the data's units to the scaled values that all methods work with, and back (numpy alone)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ldmiss.checks import check_finite, check_observed
from ldmiss.errors import InputError

Numbers = NDArray[np.float64]

SDS_IN_UNIT = 4.0
"""Standard deviations in a scaled range of 1: mean +- 2 sd lie at 0 and 1, which networks see as -1 and 1."""
_ROWS_AT_A_TIME = 256
"""Images converted in float64 at a time, to spare memory."""


@dataclass(frozen=True)
class Scaler:
    """scaled = (x - offset) / scale, channel by channel.

    Attributes:
        offset, scale: in the data's units, float64 (C,).
        bounds: the least and the largest value there is, in the data's units; infinite where there is none.
    """

    offset: Numbers
    scale: Numbers
    bounds: tuple[float, float]

    @classmethod
    def fit(cls, images: NDArray[Any], observed: NDArray[np.bool_], bounds: Sequence[float] | None = None) -> "Scaler":
        """The scaler of a data set, from its observed values.

        Bounds are those given, or 0 and 255 for uint8; they come to lie at 0 and 1. Without any, the mean +- 2 standard
        deviations of each channel do. Other integers are bounded by what their type holds.

        Args:
            images: (N, C, H, W), integers or floats in the data's units; values at missing pixels are never used.
            observed: bool (N, C, H, W).
            bounds: (least, largest) value; all observed values lie within.

        Raises:
            InputError: an observed value that is not finite or lies outside the bounds, or no bounds at all.
        """
        check_observed(observed, images, "images")
        check_finite("images", images, where=observed)
        if bounds is None and images.dtype == np.uint8:
            bounds = (0.0, 255.0)
        if bounds is not None:
            low, high = map(float, bounds)
            _check_within(images, observed, low, high)
            channels = images.shape[1]
            return cls(np.full(channels, low), np.full(channels, high - low), (low, high))
        mean, sd = _moments(images, observed)
        scale = np.where(sd > 1e-9 * np.abs(mean), sd, 1.0) * SDS_IN_UNIT  # a constant channel has no scale of its own
        if not np.isfinite([mean, scale]).all():
            raise InputError("images: values whose squares no float64 holds; allowed: up to about 1e150 in size")
        return cls(mean - scale / 2, scale, _bounds_of(images.dtype))

    def to_scaled(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """(N, C, H, W) in the data's units to scaled float32; anything at missing pixels."""
        scaled = np.empty(images.shape, np.float32)
        with np.errstate(invalid="ignore", over="ignore"):  # what stands at missing pixels
            for start in range(0, len(images), _ROWS_AT_A_TIME):
                part = slice(start, start + _ROWS_AT_A_TIME)
                scaled[part] = (images[part].astype(np.float64) - self._offset) / self._scale
        return scaled

    def from_scaled(self, scaled: NDArray[Any]) -> Numbers:
        """Scaled (..., C, H, W) to float64 in the data's units, not clipped."""
        return np.asarray(scaled.astype(np.float64) * self._scale + self._offset)

    def scaled_bounds(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The least and the largest scaled value, float32 (C, 1, 1) each; infinite where there is none."""
        low, high = (((bound - self._offset) / self._scale).astype(np.float32) for bound in self.bounds)
        return low, high

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON, which has no infinity: null where there is no bound."""
        bounds = [bound if np.isfinite(bound) else None for bound in self.bounds]
        return {"offset": self.offset.tolist(), "scale": self.scale.tolist(), "bounds": bounds}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Scaler":
        """What `to_dict` gave."""
        low, high = values["bounds"]
        bounds = (-np.inf if low is None else low, np.inf if high is None else high)
        return cls(np.array(values["offset"]), np.array(values["scale"]), bounds)

    @property
    def _offset(self) -> Numbers:
        return self.offset[:, None, None]

    @property
    def _scale(self) -> Numbers:
        return self.scale[:, None, None]


def _bounds_of(dtype: np.dtype[Any]) -> tuple[float, float]:
    if not np.issubdtype(dtype, np.integer):
        return -np.inf, np.inf
    limits = np.iinfo(dtype)
    return float(limits.min), float(limits.max)


def _moments(images: NDArray[Any], observed: NDArray[np.bool_]) -> tuple[Numbers, Numbers]:
    """Mean and standard deviation of the observed values of each channel, (C,) each; 0 and 0 for one never observed."""
    count = np.maximum(observed.sum((0, 2, 3), dtype=np.float64), 1)

    def mean_of(values: Any) -> Numbers:
        parts = (slice(start, start + _ROWS_AT_A_TIME) for start in range(0, len(images), _ROWS_AT_A_TIME))
        sums = [np.where(observed[part], values(images[part].astype(np.float64)), 0).sum((0, 2, 3)) for part in parts]
        return np.asarray(np.sum(sums, axis=0) / count)

    with np.errstate(invalid="ignore", over="ignore"):
        mean = mean_of(lambda x: x)
        return mean, np.sqrt(mean_of(lambda x: (x - mean[:, None, None]) ** 2))


def _check_within(images: NDArray[Any], observed: NDArray[np.bool_], low: float, high: float) -> None:
    if not low < high or not np.isfinite([low, high]).all():
        raise InputError(f"bounds: {low:g} to {high:g}; allowed: two finite numbers, the smaller one first")
    outside = observed & ((images < low) | (images > high))
    if outside.any():
        raise InputError(
            f"bounds: {int(outside.sum())} observed values lie outside {low:g} to {high:g}; "
            "allowed: bounds that hold all observed values"
        )
