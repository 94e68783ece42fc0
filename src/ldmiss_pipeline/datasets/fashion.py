"""Fashion-MNIST (Xiao, Rasul and Vollgraf 2017), whole and 5,000 of its training images."""

from pathlib import Path

from ldmiss.core.randomness import numpy_generator
from ldmiss_pipeline.datasets.dataset import Dataset
from ldmiss_pipeline.datasets.idx import IdxFiles, parse_idx, with_channel
from ldmiss_pipeline.datasets.splits import load_labelled, save_balanced

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package `dataset-fashion-mnist` has the four files, packed anew."""


def _mirrors() -> list[str]:
    from torchvision.datasets import FashionMNIST as TORCHVISION

    return ([DEBIAN.as_uri()] if DEBIAN.is_dir() else []) + list(TORCHVISION.mirrors)


FILES = IdxFiles(
    title="Fashion-MNIST",
    variable="LDMISS_FASHION_MIRROR",
    mirrors=_mirrors,
    checksums={
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
    otherwise="install Debian's package dataset-fashion-mnist",
)


def _download_fashion5k(folder: Path) -> None:
    """A fixed, balanced part of the training images, as `mnist5k` is of MNIST's: the test images stay untouched."""
    images, labels = (parse_idx(FILES.fetch(name)) for name in FILES.names("train"))
    save_balanced(folder, with_channel(images), labels, numpy_generator(0, "fashion5k split"))


FASHION = Dataset(60_000, 10_000, (1, 28, 28), 10, download=FILES.download, load=FILES.load)
FASHION5K = Dataset(4000, 1000, (1, 28, 28), 10, download=_download_fashion5k, load=load_labelled)
