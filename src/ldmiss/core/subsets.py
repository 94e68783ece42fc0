"""Which images stand for a whole set: evenly spread, and a random few for several draws."""

import numpy as np
from numpy.typing import NDArray

from ldmiss.core.randomness import numpy_generator


def evenly_spread(total: int, size: int) -> NDArray[np.int64]:
    """Indices of `size` of `total` images at equal distances, sorted int64 (size,).

    Not the first ones: the first half of MNIST's test images is another population than the second (cleaner digits),
    and an FID of the first 2,000 against all 10,000 is three times as far from zero as that of 2,000 spread out.
    """
    return np.arange(size) * total // size


def draw_subset(num_images: int, size: int) -> NDArray[np.int64]:
    """The images with several draws: random but fixed, the same for all cells and imputers; sorted int64 (size,)."""
    return np.sort(numpy_generator(0, "draws subset").permutation(num_images)[:size])
