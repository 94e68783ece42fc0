"""What the paper is about: MNIST, whose pixels are missing completely at random."""

from collections.abc import Mapping

DATASETS = ("mnist", "mnist5k")
MECHANISM = "mcar"


def outside_the_paper(metadata: Mapping[str, str]) -> str:
    """Why a run is none that the paper speaks of; empty where it is one.

    Args:
        metadata: `dataset`, and `mechanism` and `test_mechanism` where the table of the run has them: before they were
            recorded, there was no other.
    """
    if (dataset := metadata["dataset"]) not in DATASETS:
        return f"the data set is {dataset}; the paper's is MNIST"
    for setting, images in (("mechanism", "training"), ("test_mechanism", "test")):
        if (mechanism := metadata.get(setting, MECHANISM)) != MECHANISM:
            return f"pixels of the {images} images are missing by mechanism {mechanism}; the paper's are by {MECHANISM}"
    return ""
