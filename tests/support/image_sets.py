"""Small sets of images of several shapes and dtypes, complete and incomplete, to hide pixels of."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class ImageSet(NamedTuple):
    """Images (N, C, H, W), and known bool (N, C, H, W)."""

    images: NDArray[Any]
    known: NDArray[np.bool_]


def smooth(num_images: int, channels: int, height: int, width: int) -> NDArray[np.float64]:
    """Images in [0, 1], of a brightness of their own each, brighter to the right, with noise."""
    rng = np.random.default_rng(0)
    level, noise = rng.random((num_images, channels, 1, 1)), rng.random((num_images, channels, height, width))
    return 0.4 * level + 0.4 * np.linspace(0, 1, width) + 0.2 * noise


def holed() -> ImageSet:
    """float64 (40, 3, 16, 12) in units of their own, NaN where unknown.

    Holes are rectangles, no two the same, of the first channel a row more. Some images are complete, one has nothing.
    """
    images = smooth(40, 3, 16, 12) * np.array([1.0, 5000.0, -0.01])[:, None, None] - 7
    known = np.ones(images.shape, dtype=bool)
    for row, place in enumerate(np.random.default_rng(1).permutation(56)[:30]):
        top, left = divmod(int(place), 7)
        known[row, :, top : top + 8, left : left + 5] = False
        known[row, 0, top + 8] = False
    known[30] = False
    return ImageSet(np.where(known, images, np.nan), known)


def complete(images: NDArray[Any]) -> ImageSet:
    """With everything known."""
    return ImageSet(images, np.ones(images.shape, dtype=bool))


SETS = {
    "grey": complete((smooth(60, 1, 8, 11) * 255).astype(np.uint8)),
    "colour": complete((smooth(40, 3, 33, 20) * 65535).astype(np.uint16)),
    "holed": holed(),
}
