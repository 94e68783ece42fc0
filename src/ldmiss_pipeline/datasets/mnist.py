"""The canonical MNIST (LeCun, Cortes and Burges)."""

from ldmiss_pipeline.datasets.dataset import Dataset
from ldmiss_pipeline.datasets.idx import IdxFiles


def _mirrors() -> list[str]:
    from torchvision.datasets import MNIST as TORCHVISION

    return list(TORCHVISION.mirrors)


FILES = IdxFiles(
    title="MNIST",
    variable="LDMISS_MNIST_MIRROR",
    mirrors=_mirrors,
    # Those of `torchvision.datasets.MNIST.resources`, written out so that reading needs no torch (a test compares).
    checksums={
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    },
    otherwise="use -S dataset=mnist5k",
)
MNIST = Dataset(60_000, 10_000, (1, 28, 28), 10, download=FILES.download, load=FILES.load)
