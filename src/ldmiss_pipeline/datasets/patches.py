"""Colour patches of the photographs that scikit-image brings."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ldmiss.core.randomness import numpy_generator
from ldmiss_pipeline.datasets.dataset import Dataset
from ldmiss_pipeline.datasets.packaged import packaged_folder, read_picture
from ldmiss_pipeline.datasets.splits import load_pictures, save_pictures

PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "ihc.png", "motorcycle_left.png", "rocket.jpg")
SIZE = 32
BLOCK = 64
"""A photograph is cut into blocks of this height and width, and each block goes to one split: no pixel is in both."""
NUM_TEST_BLOCKS = 125
STRIDES = {"train": 16, "test": 32}
"""Between the patches of a block. Those of the tests do not overlap, so that each is new evidence."""


def cut(image: NDArray[np.uint8], size: int, stride: int) -> NDArray[np.uint8]:
    """Squares of an image (C, H, W), as many as fit, in rows from the top left: (N, C, size, size)."""
    windows = np.lib.stride_tricks.sliding_window_view(image, (size, size), axis=(1, 2))[:, ::stride, ::stride]
    return np.moveaxis(windows, 0, 2).reshape(-1, len(image), size, size)


def split_blocks(blocks: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
    """Blocks (M, C, BLOCK, BLOCK), the test's drawn at random, once and for all: the patches of either split."""
    order = numpy_generator(0, "patches split").permutation(len(blocks))
    chosen = {"train": np.sort(order[NUM_TEST_BLOCKS:]), "test": np.sort(order[:NUM_TEST_BLOCKS])}
    return {
        split: np.concatenate([cut(block, SIZE, STRIDES[split]) for block in blocks[rows]])
        for split, rows in chosen.items()
    }


def _download_patches(folder: Path) -> None:
    source = packaged_folder("skimage", "data", install="scikit-image")
    blocks = [cut(read_picture(source / name, "RGB"), BLOCK, BLOCK) for name in PHOTOGRAPHS]
    for split, patches in split_blocks(np.concatenate(blocks)).items():
        save_pictures(folder, split, patches)


PATCHES = Dataset(1998, 500, (3, SIZE, SIZE), None, download=_download_patches, load=load_pictures)
