"""Rectangular holes: clouds, occlusions, stickers."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ldmiss.checks import check_count

MOST_STRETCHED = 2.0
"""A block is at most so many times as tall as it is wide, or as wide as tall, in proportion to the image."""


def block(
    images: NDArray[Any], known: NDArray[np.bool_], rate: float, rng: np.random.Generator, *, num_blocks: int = 1
) -> NDArray[np.bool_]:
    """Whatever lies under one of `num_blocks` random rectangles is missing.

    Law: each block is to cover the share f = 1 - (1 - rate)^(1 / num_blocks) of an image. Its height is
    sqrt(f) s H and its width sqrt(f) W / s, with log s uniform (s^2 between 1/2 and 2, less where the block would not
    fit); both are rounded up or down at random, independently, so that the area is f H W in expectation. Its place
    is uniform, and what leaves the image on one side comes in on the other. So every pixel is under each block with
    probability f and missing with probability `rate`, those of the corners as often as those in the middle, and
    blocks that overlap are no error.

    Nested over rates: a block grows from its corner, with the same random numbers.

    Args:
        images: (N, C, H, W); only their shape counts.
        known: not looked at.
        rate: in [0, 1).
        rng: the source of the N x num_blocks x 5 uniform numbers.
        num_blocks: of each image, at least 1.

    Returns:
        keep: bool (N, C, H, W), the same in all channels.

    Raises:
        InputError: num_blocks below 1.
    """
    check_count("num_blocks", num_blocks)
    num_images, _, height, width = images.shape
    hidden = np.zeros((num_images, height, width), dtype=bool)
    share = 1 - (1 - rate) ** (1 / num_blocks)
    uniforms = rng.random((num_blocks, 5, num_images))
    for top, left, stretch, up, across in uniforms if share > 0 else ():
        log_side = math.log(share) / 2
        log_stretch = (2 * stretch - 1) * min(math.log(MOST_STRETCHED) / 2, -log_side)
        in_rows = _interval(height, top, np.exp(log_side + log_stretch), up)
        in_columns = _interval(width, left, np.exp(log_side - log_stretch), across)
        hidden |= in_rows[:, :, None] & in_columns[:, None, :]
    return np.broadcast_to(~hidden[:, None], images.shape)


def _interval(
    size: int, start: NDArray[np.float64], share: NDArray[np.float64], rounding: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Bool (N, size): True in an interval that begins anywhere, wraps around, and is size * share long in expectation.

    `start` and `rounding` are uniform numbers, float64 (N,) as `share` is.
    """
    length = np.floor(size * share + rounding)
    return (np.arange(size) - np.floor(size * start)[:, None]) % size < length[:, None]
