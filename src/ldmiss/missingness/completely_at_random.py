"""Missing completely at random: whatever the images are, known or not; pixel by pixel, or whole scan lines."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def mcar(images: NDArray[Any], known: NDArray[np.bool_], rate: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Each pixel is missing with probability `rate`, independently (paper, A.2.3; Rubin 1976).

    One uniform number is drawn per pixel whatever the rate, so that with the same generator the missing pixels at a
    lower rate are a subset of those at a higher one: rates are compared on the same random numbers.

    Args:
        images: (N, C, H, W); only their shape counts.
        known: not looked at.
        rate: in [0, 1).
        rng: the source of the N x H x W uniform numbers.

    Returns:
        keep: bool (N, C, H, W), the same in all channels.
    """
    num_images, _, height, width = images.shape
    return _in_all_channels(rng.random((num_images, height, width)) >= rate, images)


def rows(images: NDArray[Any], known: NDArray[np.bool_], rate: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Each row of each image is missing with probability `rate`, independently: scan lines that were dropped.

    Nested over rates as `mcar` is, from N x H uniform numbers. Arguments and result as there.
    """
    num_images, _, height, _ = images.shape
    return _in_all_channels(rng.random((num_images, height, 1)) >= rate, images)


def columns(images: NDArray[Any], known: NDArray[np.bool_], rate: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Each column of each image is missing with probability `rate`, independently. Otherwise as `rows`."""
    num_images, _, _, width = images.shape
    return _in_all_channels(rng.random((num_images, 1, width)) >= rate, images)


def _in_all_channels(keep: NDArray[np.bool_], images: NDArray[Any]) -> NDArray[np.bool_]:
    return np.broadcast_to(keep[:, None], images.shape)
