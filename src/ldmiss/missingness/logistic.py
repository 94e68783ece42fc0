"""Missing with a probability that is logistic in how bright an image or a pixel is (Muzellec et al. 2020).

The intercept is solved for, so that the expected missing share of the pixels known is the rate asked for.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ldmiss.checks import check_number
from ldmiss.errors import InputError

ANCHORS = (..., slice(2, None, 4), slice(2, None, 4))
"""The pixels that `mar` never hides: every fourth of every fourth row, from row and column 2 (counted from 0)."""


def mar(
    images: NDArray[Any], known: NDArray[np.bool_], rate: float, rng: np.random.Generator, *, slope: float = 1.0
) -> NDArray[np.bool_]:
    """Missing at random (Rubin 1976): bright images miss more, and how bright they are is read off anchors.

    Anchors are every fourth pixel of every fourth row (row and column 2, 6, 10 ..., from 0); they are never missing. A
    lattice and not a border, since the border of many images says nothing: that of MNIST is black. All other pixels
    of image i are missing with probability

        1 / (1 + exp(-(intercept + slope z_i))),

    independently given z_i: the mean of the image's anchors that are known, standardised over the images (0 where
    no anchor is known). Channels are standardised first. Nested over rates: one uniform number per pixel, and a
    probability that grows with the rate.

    Args:
        images: (N, C, H, W) of any real dtype.
        known: bool (N, C, H, W); values elsewhere are not looked at.
        rate: in [0, 1), of the pixels known, anchors included.
        rng: the source of the N x H x W uniform numbers.
        slope: above 0.

    Returns:
        keep: bool (N, C, H, W), the same in all channels.

    Raises:
        InputError: a rate that cannot be reached, as the anchors are always observed; a slope out of range.
    """
    _check_slope(slope)
    exposed = known.copy()
    exposed[ANCHORS] = False
    weights = exposed.sum(axis=(1, 2, 3))
    most = weights.sum() / known.sum()
    if rate and rate >= most:
        raise InputError(
            f"missing rate: {rate} with mechanism mar; allowed: below {most:.4g}, as every fourth pixel of every "
            "fourth row is always observed"
        )
    logits = slope * _image_brightness(images[ANCHORS], known[ANCHORS])
    probability = _logistic(logits, weights, rate / most if rate else 0.0)
    num_images, _, height, width = images.shape
    keep = rng.random((num_images, height, width)) >= probability[:, None, None]
    keep[ANCHORS] = True
    return np.broadcast_to(keep[:, None], images.shape)


def mnar(
    images: NDArray[Any], known: NDArray[np.bool_], rate: float, rng: np.random.Generator, *, slope: float = 1.0
) -> NDArray[np.bool_]:
    """Missing not at random by self-masking (Mohan et al. 2018, Muzellec et al. 2020): bright pixels are missing more.

    A pixel is missing with probability 1 / (1 + exp(-(intercept + slope z))), independently, where z is its own
    value, standardised over all values known (of several channels: each by itself, then their mean). What is missing
    depends on the value that is missing: methods that ignore the mechanism, all of ours, are biased by that, and
    nothing in the observed data can show it. Nested over rates as `mar` is. Arguments as there.

    Returns:
        keep: bool (N, C, H, W), the same in all channels.

    Raises:
        InputError: a slope out of range.
    """
    _check_slope(slope)
    weights = known.sum(axis=1, dtype=np.float32)
    probability = _logistic(slope * brightness(images, known), weights, rate)
    return np.broadcast_to((rng.random(probability.shape) >= probability)[:, None], images.shape)


def brightness(images: NDArray[Any], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Each pixel's value, standardised over the known values of its channel; the mean over its known channels.

    Args:
        images, known: (N, C, H, W).

    Returns:
        float32 (N, H, W); 0, the mean, where no channel is known, and in channels of one value only.
    """
    total = np.zeros((len(images), *images.shape[2:]), dtype=np.float32)
    for channel in range(images.shape[1]):
        where = known[:, channel]
        values = images[:, channel][where].astype(np.float64)
        if values.size and (std := values.std()) > 0:
            values -= values.mean()
            values /= std
            total[where] += values
    return total / np.maximum(known.sum(axis=1, dtype=np.float32), 1)


def _image_brightness(images: NDArray[Any], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The mean brightness of each image's known pixels, standardised over the images: float64 (N,)."""
    some = known.any(axis=1)
    counts = some.sum(axis=(1, 2))
    means = brightness(images, known).sum(axis=(1, 2), dtype=np.float64) / np.maximum(counts, 1)
    readable = means[counts > 0]
    if not len(readable) or not (std := readable.std()) > 0:
        return np.zeros(len(images))
    return np.where(counts > 0, (means - readable.mean()) / std, 0.0)


def _logistic(logits: NDArray[Any], weights: NDArray[Any], rate: float) -> NDArray[Any]:
    """Probabilities 1 / (1 + exp(-(intercept + logits))) whose mean, with these weights, is `rate`, in [0, 1)."""
    from scipy.optimize import brentq  # at the top it would take a second of every command that reads params

    if rate < 1e-15:  # or so little that no pixel would ever be missing
        return np.zeros_like(logits)
    # The intercept, were all logits the largest, or the smallest; with a margin that float32 cannot round away.
    centre = math.log(rate / (1 - rate))
    low, high = centre - float(logits.max()) - 40, centre - float(logits.min()) + 40
    intercept = brentq(lambda at: np.average(_sigmoid(at + logits), weights=weights) - rate, low, high, xtol=1e-10)
    return _sigmoid(intercept + logits)


def _sigmoid(x: NDArray[Any]) -> NDArray[Any]:
    """Exact where it is small, too; 0 where the exponential is infinite."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


def _check_slope(slope: float) -> None:
    check_number("slope", slope, above=0, most=1000)
