"""A split of a data set, made incomplete."""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ldmiss.missingness.mechanisms import draw_observed, remove_missing
from ldmiss.missingness.rates import is_off, missing_share
from ldmiss_pipeline.datasets.registry import load_split


def make_incomplete(
    dataset: str, raw: Path, split: str, mechanism: str, rate: float, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Images uint8 (N, H, W), 0 where missing, and observed bool (N, H, W).

    Warns where the mechanism realises another rate than `rate` by more than chance explains (`is_off`).
    """
    images = load_split(dataset, raw, split).images
    observed = draw_observed(mechanism, images, rate, rng)
    if is_off(observed, rate):
        print(
            f"warning: mechanism {mechanism!r} made {missing_share(observed):.2%} of the {split} pixels missing; "
            f"{rate:.2%} was asked for, and chance does not explain that (more than 4 standard errors)",
            file=sys.stderr,
        )
    return remove_missing(images, observed), observed
