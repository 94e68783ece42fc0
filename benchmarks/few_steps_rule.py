"""When few steps are as good as many: the rule of `benchmarks.few_steps`, on numbers alone.

A setting (sampler, number of steps) is compared with the reference, 1000 steps of Euler-Maruyama, on the same trained
model. All uncertainty here is that of sampling; nothing is known of the spread over trainings.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MIN_SEEDS = 3
NUM_SDS = 2.0
"""An FID may lie this many standard deviations above the reference's mean."""
NUM_SES = 2.0
MARGIN = 0.05
"""A score may lie `NUM_SES` standard errors above the reference, and with as many stays within this share of it."""


@dataclass(frozen=True)
class Verdict:
    """Whether a setting is as good as the reference in one metric, and by how much it differs.

    Attributes:
        holds: as good.
        difference: of the means, setting minus reference.
        unit: the standard deviation, or standard error, that the difference is measured in.
    """

    holds: bool
    difference: float
    unit: float


def equal_fid(fids: Sequence[float], reference: Sequence[float]) -> Verdict:
    """The mean over sampling seeds lies at most two of the reference's standard deviations (ddof 1) above its mean.

    Lower is always as good. The spread is the reference's alone: a setting does not pass by being noisy itself.

    Raises:
        ValueError: fewer than three seeds on one side.
    """
    if min(len(fids), len(reference)) < MIN_SEEDS:
        raise ValueError(f"an FID is compared over at least {MIN_SEEDS} sampling seeds")
    difference, sd = float(np.mean(fids) - np.mean(reference)), float(np.std(reference, ddof=1))
    return Verdict(difference <= NUM_SDS * sd, difference, sd)


def not_worse(scores: NDArray[np.float64], reference: NDArray[np.float64]) -> Verdict:
    """Scores (lower is better) of the same images, (N,) each, a mean over sampling seeds and draws, in pairs.

    With d the mean of the N differences and se its standard error, not worse means both: no sign of being worse,
    d <= 2 se; and none overlooked for want of images, d + 2 se <= 5 % of the reference's mean.

    Raises:
        ValueError: other images, or a single one.
    """
    if scores.shape != reference.shape or len(scores) < 2:
        raise ValueError(f"scores of the same images are compared, at least two; got {scores.shape}, {reference.shape}")
    differences = scores - reference
    d, se = float(differences.mean()), float(differences.std(ddof=1) / math.sqrt(len(differences)))
    return Verdict(d <= NUM_SES * se and d + NUM_SES * se <= MARGIN * float(reference.mean()), d, se)


def cheapest(
    holds: Mapping[tuple[str, int], bool], evaluations: Mapping[tuple[str, int], int]
) -> tuple[str, int] | None:
    """The setting (sampler, steps) of the fewest evaluations that holds, as all more steps of its sampler do, too.

    The second condition keeps one lucky setting among many from being chosen; None where there is none.
    """
    good = [
        (sampler, steps)
        for sampler, steps in holds
        if all(held for (other, more), held in holds.items() if other == sampler and more >= steps)
    ]
    return min(good, key=lambda setting: evaluations[setting], default=None)
