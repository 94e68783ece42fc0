"""The data sets by name. To add one: a module like `mnist5k`, its line here, a file in conf/dataset."""

from pathlib import Path

from ldmiss_pipeline.datasets.dataset import Split, check_split
from ldmiss_pipeline.datasets.faces import FACES
from ldmiss_pipeline.datasets.fashion import FASHION, FASHION5K
from ldmiss_pipeline.datasets.mnist import MNIST
from ldmiss_pipeline.datasets.mnist5k import MNIST5K
from ldmiss_pipeline.datasets.own import OWN
from ldmiss_pipeline.datasets.patches import PATCHES

DATASETS = {
    "mnist5k": MNIST5K, "mnist": MNIST, "fashion5k": FASHION5K, "fashion": FASHION, "patches": PATCHES, "faces": FACES,
    "own": OWN,
}  # fmt: skip


def load_split(name: str, folder: Path, split: str) -> Split:
    """The "train" or "test" split of a downloaded data set.

    Raises:
        InputError: missing or corrupted file, or images and labels of another kind than the stages can do, or than the
            data set says it has.
    """
    loaded = DATASETS[name].load(folder / name, split)
    check_split(loaded, DATASETS[name], f"data set {name!r}, split {split!r}")
    return loaded
