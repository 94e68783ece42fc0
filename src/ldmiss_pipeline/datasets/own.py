"""A person's own incomplete images, read from where the params say: there is no truth, no label and no test set.

The training images are all of them. The "test" split is a few of them, evenly spread, of which `mask_test` hides some
of the known pixels and `mask` the same ones: only what is known can be scored.
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ldmiss.core.scaling import Scaler
from ldmiss.core.subsets import evenly_spread
from ldmiss.files.images import read_images
from ldmiss.files.incomplete import IncompleteImages, Layout, summary, warnings
from ldmiss_pipeline.artifacts.arrays import load_array_metadata, load_arrays, save_arrays
from ldmiss_pipeline.artifacts.observed import load_observed, pack_observed
from ldmiss_pipeline.datasets.dataset import Dataset, Split

_FILE = "images.npz"


MOST_PIXELS = 128 * 128
"""Above so many, an image is large for the networks of the profiles on a CPU."""


def import_own(
    folder: Path,
    path: Path,
    *,
    missing_value: float | None,
    mask: str | None,
    bounds: Sequence[float] | None,
    num_held_out: int,
) -> None:
    """Read a person's files, say what they hold, and keep images, indicators and form in one file of ours.

    Args:
        folder: where that file goes.
        path, missing_value, mask: see `read_images`.
        bounds: least and largest value there can be; None where there are none.
        num_held_out: images of which some known pixels are held out, at most, and at most a fifth of all: what is held
            out is not trained on.

    Raises:
        InputError: as `read_images` and `Scaler.fit`.
    """
    images = read_images(path, missing_value=missing_value, mask=mask)
    print(f"{path}: {summary(images)}")
    Scaler.fit(images.values, images.observed, bounds)  # refuses now what it would refuse later
    num_images, _, height, width = images.values.shape
    lines = warnings(images)
    if height * width > MOST_PIXELS:
        lines.append(
            f"images of {height} x {width} take memory and time in proportion (a training step of profile quick about "
            f"{height * width / 784 * 0.012:.0f} GB): cut them into tiles, or set vae.train.batch_size and its like"
        )
    for line in lines:
        print(f"warning: {path}: {line}", file=sys.stderr)
    save_arrays(
        folder / _FILE,
        metadata={"layout": asdict(images.layout)},
        images=np.where(images.observed, images.values, np.zeros((), images.values.dtype)),
        observed=pack_observed(images.observed),
        rows=evenly_spread(num_images, min(num_held_out, max(1, num_images // 5))),
    )


def load_own(raw: Path) -> IncompleteImages:
    """All images, and the form of the files that they came from; `raw` is the folder of all raw data.

    Raises:
        InputError: missing or corrupted file.
    """
    path = raw / "own" / _FILE
    images, observed = load_observed(path)
    return IncompleteImages(images, observed, Layout(**load_array_metadata(path)["layout"]))


def _load(folder: Path, split: str) -> Split:
    images, observed = load_observed(folder / _FILE)
    if split == "train":
        return Split(images, observed=observed)
    (rows,) = load_arrays(folder / _FILE, "rows")
    return Split(images[rows], observed=observed[rows], rows=rows)


OWN = Dataset(None, None, None, None, download=None, load=_load)
"""Its files are read by `import_own`, where the params say."""
