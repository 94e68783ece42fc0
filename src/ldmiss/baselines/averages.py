"""Imputers that need no model: the mean of each pixel, and the average of known neighbours (numpy)."""

import numpy as np
from numpy.typing import NDArray

from ldmiss.baselines.gaussian import Moments

Images = NDArray[np.float32]


Indicators = NDArray[np.bool_]


_OFFSETS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]


def impute_mean(x: Images, observed: Indicators, mean: Moments) -> Images:
    """The training mean of each pixel; float32 (N, d)."""
    return np.where(observed, x, mean.astype(np.float32))


def impute_neighbours(x: Images, observed: Indicators) -> Images:
    """Average of the known among the 8 neighbours, repeated with the newly filled as known until all are.

    No training. Each channel by itself; one of which nothing is observed stays 0.

    Args:
        x: float32 (N, H, W), any number of channels among the N.
        observed: bool (N, H, W).
    """
    values = np.where(observed, x, np.float32(0))
    filled = observed.copy()
    while True:
        value_sum, count = _sum_of_neighbours(values), _sum_of_neighbours(filled.astype(np.float32))
        newly = ~filled & (count > 0)
        if not newly.any():
            return values
        values = np.where(newly, value_sum / np.maximum(count, 1), values)
        filled = filled | newly


def _sum_of_neighbours(x: Images) -> Images:
    height, width = x.shape[1:]
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    shifted = (padded[:, 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width] for dy, dx in _OFFSETS)
    return np.sum(list(shifted), axis=0)
