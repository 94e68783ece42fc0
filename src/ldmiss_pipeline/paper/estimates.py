"""Estimates: a metric of one method at one missing rate, with its spread, and how the rules of claims read them.

Rates above 0.8 lie outside the paper's grid (A.2.3) and are not looked at. Standard errors of a difference are combined
in quadrature. For methods measured on the same test images that is too large: on the safe side where a difference has
to show, and lenient where it must not ("no step improves", claims 3 and 7, which therefore must also lose clearly from
first to last rate).
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ldmiss_pipeline.paper.thresholds import THRESHOLDS

LARGER_IS_BETTER = ("is", "accuracy")


class MissingEstimate(Exception):
    """What a claim reads is not in the table; the message says what."""


@dataclass(frozen=True)
class Estimate:
    """A metric of one method at one missing rate.

    Attributes:
        mean: over the seeds.
        std: over the seeds, ddof 1; None for one seed.
        se: standard error of the mean: std / sqrt(number of seeds); for one seed that of a bootstrap over images (the
            row `<metric>_se`), which knows nothing of the noise of training; None where neither is there.
        num_seeds: how many.
        name: for messages.
    """

    mean: float
    std: float | None
    se: float | None
    num_seeds: int
    name: str


@dataclass(frozen=True)
class Results:
    """A checked table, indexed.

    Attributes:
        values: (task, method, metric) -> (missing rate, seed) -> number.
        seeds: missing rate -> its seeds; rates and seeds in rising order.
        metadata: the texts that all cells share, of the classifier and of the run's settings (lists of their names:
            `ldmiss_pipeline.paper.table_check`).
    """

    values: Mapping[tuple[str, str, str], Mapping[tuple[float, int], float]]
    seeds: Mapping[float, tuple[int, ...]]
    metadata: Mapping[str, str]

    def estimate(self, task: str, method: str, metric: str, rate: float) -> Estimate:
        """A metric of one method at one missing rate, over all seeds that the table has at that rate.

        Raises:
            MissingEstimate: no such row for one of the seeds, a value that is not finite, or a mean of a single draw.
        """
        name = f"{task}.{method}.{metric} at missing rate {rate:g}"
        if metric == "mse_mean" and self.metadata.get("num_draws") == "1":
            raise MissingEstimate("no mean of several draws: num_draws is 1")
        by_cell = self.values.get((task, method, metric), {})
        values = []
        for seed in self.seeds.get(rate, ()):
            value = by_cell.get((rate, seed))
            if value is None:
                raise MissingEstimate(f"no {name}, seed {seed}")
            if not math.isfinite(value):
                raise MissingEstimate(f"{name}, seed {seed}, is {value}")
            values.append(value)
        if not values:
            raise MissingEstimate(f"no {name}")
        mean = statistics.fmean(values)
        if len(values) > 1:
            std = statistics.stdev(values)
            return Estimate(mean, std, std / math.sqrt(len(values)), len(values), name)
        se = self.values.get((task, method, f"{metric}_se"), {}).get((rate, self.seeds[rate][0]), math.nan)
        return Estimate(mean, None, se if math.isfinite(se) and se >= 0 else None, 1, name)


@dataclass(frozen=True)
class Column:
    """One number per rate: of which run ("main", or a variant), task, method and metric."""

    task: str
    method: str
    metric: str
    run: str = "main"


@dataclass
class EstimateReader:
    """Gives estimates and keeps what it gave, in order.

    Attributes:
        runs: "main" and perhaps variants, each a checked table.
        read: (column, rate) -> the estimate, of what decides the claim.
        shown: the same, of what is only shown beside it.
    """

    runs: Mapping[str, Results]
    read: dict[tuple[Column, float], Estimate] = field(default_factory=dict)
    shown: dict[tuple[Column, float], Estimate] = field(default_factory=dict)

    def __call__(self, column: Column, rate: float) -> Estimate:
        """The estimate of a column at a rate; raises `MissingEstimate`."""
        estimate = self.runs[column.run].estimate(column.task, column.method, column.metric, rate)
        self.read[(column, rate)] = estimate
        return estimate

    def rates(self, *needed: float) -> list[float]:
        """The rates of the paper's range that all runs of this reader have.

        Raises:
            MissingEstimate: a needed rate is not among them.
        """
        shared = [rate for rate in self.runs["main"].seeds if rate <= THRESHOLDS.span[-1]]
        shared = [rate for rate in shared if all(rate in results.seeds for results in self.runs.values())]
        if absent := [rate for rate in needed if rate not in shared]:
            raise MissingEstimate(f"lacks missing rate {listed(absent)}; there are {listed(shared) or 'none'}")
        return shared


def listed(rates: Sequence[float]) -> str:
    """Rates as a text."""
    return ", ".join(f"{rate:g}" for rate in rates)


def gain(first: Estimate, second: Estimate, metric: str) -> tuple[float, float]:
    """By how much the first is better, and the standard error of that.

    Raises:
        MissingEstimate: an estimate of one seed without a bootstrap error.
    """
    difference = second.mean - first.mean
    return (-difference if metric in LARGER_IS_BETTER else difference), combined_error(first, second)


def combined_error(*estimates: Estimate) -> float:
    """The standard error of a sum or difference of independent estimates: theirs in quadrature.

    Raises:
        MissingEstimate: an estimate of one seed without a bootstrap error.
    """
    errors = []
    for estimate in estimates:
        if estimate.se is None:
            raise MissingEstimate(f"one seed, and no bootstrap standard error of {estimate.name}")
        errors.append(estimate.se)
    return math.hypot(*errors)
