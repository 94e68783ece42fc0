"""The data sets by name. To add one: a module like `mnist5k`, its line here, a file in conf/dataset."""

from pathlib import Path

from ldmiss_pipeline.datasets.dataset import Images, check_split
from ldmiss_pipeline.datasets.mnist import MNIST
from ldmiss_pipeline.datasets.mnist5k import MNIST5K

DATASETS = {"mnist5k": MNIST5K, "mnist": MNIST}


def load_split(name: str, folder: Path, split: str) -> Images:
    """The "train" or "test" split of a downloaded data set.

    Raises:
        InputError: missing or corrupted file, or images and labels of another kind than the stages can do.
    """
    loaded = DATASETS[name].load(folder / name, split)
    check_split(loaded, f"data set {name!r}, split {split!r}")
    return loaded
