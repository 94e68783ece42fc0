"""Which pixels of a split are observed, by a mechanism of the params."""

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ldmiss.missingness.mechanisms import draw_observed
from ldmiss.missingness.rates import is_off, missing_share
from ldmiss_pipeline.datasets.dataset import Split

WITH_SETTINGS = ("mar", "mnar", "block")
"""The mechanisms that have a section of their own among the params."""


def mechanism_settings(missing: Any, mechanism: str) -> dict[str, Any]:
    """The settings of a mechanism in the section `missing` of the params; most have none."""
    sections = {name: getattr(missing, name).model_dump() for name in WITH_SETTINGS}
    return sections.get(mechanism, {})


def observe(
    split: Split, name: str, mechanism: str, rate: float, rng: np.random.Generator, settings: Mapping[str, Any]
) -> NDArray[np.bool_]:
    """What is observed of a split, of that which is known: bool (N, C, H, W).

    Warns where the mechanism realises another rate than `rate` by more than chance explains (`is_off`); `name` is what
    the warning calls the images.
    """
    observed = draw_observed(mechanism, split.images, rate, rng, split.observed, settings)
    if is_off(observed, rate, split.observed):
        print(
            f"warning: mechanism {mechanism!r} made {missing_share(observed, split.observed):.2%} of the {name} pixels "
            f"missing; {rate:.2%} was asked for, and chance does not explain that (more than 4 standard errors)",
            file=sys.stderr,
        )
    return observed
