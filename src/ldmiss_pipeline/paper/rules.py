"""The rules that decide the paper's claims, and their thresholds, stated once.

A rule reads estimates through a `Reader` (which keeps what was read) and returns an `Outcome`. Rates above 0.8 lie
outside the paper's grid (A.2.3) and are not looked at. Standard errors of a difference are combined in quadrature. For
methods measured on the same test images that is too large: on the safe side where a difference has to show, and lenient
where it must not ("no step improves", claims 3 and 7, which therefore must also lose clearly from first to last rate).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from ldmiss_pipeline.paper.results import Estimate, Lacking, Results

Verdict = Literal["holds", "fails", "consistent", "not tested"]


@dataclass(frozen=True)
class Thresholds:
    """Every number that a verdict depends on, and nothing else.

    Attributes:
        better: a difference counts if it exceeds so many of its standard errors (over seeds; one seed: of a bootstrap
            over images). "Degrades with every step" is monotone within as many.
        stable: FID at 0.5 is at most so many times FID at 0.
        robust: MSE at 0.8 is at most so many times MSE at 0.
        competitive: at most so many times the best.
        variance_seeds: claims about variance need so many seeds, and are at most `consistent`.
        span: a claim about every rate needs these: both ends of the paper's rates and the middle.
        low: rates up to here are "low"; `moderate`: up to here "low to moderate"; from `high` on "high".
    """

    better: float = 2.0
    stable: float = 1.5
    robust: float = 1.5
    competitive: float = 1.1
    variance_seeds: int = 3
    span: tuple[float, ...] = (0.0, 0.5, 0.8)
    low: float = 0.3
    moderate: float = 0.5
    high: float = 0.6


THRESHOLDS = Thresholds()
LARGER_IS_BETTER = ("is", "accuracy")
PAPER_IMPUTERS = ("ldmiss-guidance", "ddpm-guidance", "ddpm-replacement", "diffputer-replacement", "autoencoder")


@dataclass(frozen=True)
class Outcome:
    """A verdict and why, in words."""

    verdict: Verdict
    reason: str


@dataclass(frozen=True)
class Column:
    """One number per rate: of which run ("main", or a variant), task, method and metric."""

    task: str
    method: str
    metric: str
    run: str = "main"

    def __str__(self) -> str:
        """`task.method.metric`, and `run:` before it for another run than the main one."""
        return f"{'' if self.run == 'main' else self.run + ':'}{self.task}.{self.method}.{self.metric}"


@dataclass
class Reader:
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
        """The estimate of a column at a rate; raises `Lacking`."""
        estimate = self.runs[column.run].estimate(column.task, column.method, column.metric, rate)
        self.read[(column, rate)] = estimate
        return estimate

    def rates(self, *needed: float) -> list[float]:
        """The rates of the paper's range that all runs of this reader have; raises `Lacking` if a needed one is not."""
        shared = [rate for rate in self.runs["main"].rates if rate <= THRESHOLDS.span[-1]]
        shared = [rate for rate in shared if all(rate in results.seeds for results in self.runs.values())]
        if absent := [rate for rate in needed if rate not in shared]:
            raise Lacking(f"lacks missing rate {listed(absent)}; there are {listed(shared) or 'none'}")
        return shared


Rule = Callable[[Reader], Outcome]


def listed(rates: Sequence[float]) -> str:
    """Rates as a text."""
    return ", ".join(f"{rate:g}" for rate in rates)


def gain(first: Estimate, second: Estimate, metric: str) -> tuple[float, float]:
    """By how much the first is better, and the standard error of that.

    Raises:
        Lacking: an estimate of one seed without a bootstrap error.
    """
    difference = second.mean - first.mean
    return (-difference if metric in LARGER_IS_BETTER else difference), _se(first, second)


def better(pairs: Sequence[tuple[Column, Column]], rates: Callable[[Reader], Sequence[float]]) -> Rule:
    """The first of each pair is better than the second, by `THRESHOLDS.better` standard errors, at every rate."""

    def rule(reader: Reader) -> Outcome:
        used = rates(reader)
        failed: list[str] = []
        margins: list[tuple[float, str]] = []
        for rate in used:
            for first, second in pairs:
                difference, se = gain(reader(first, rate), reader(second, rate), first.metric)
                where = f"{first.metric} against {second.method} at {rate:g}"
                if difference <= THRESHOLDS.better * se:
                    worse = "worse" if -difference > THRESHOLDS.better * se else "no clear difference"
                    failed.append(f"{where}: {worse} ({difference:+.3g}, se {se:.2g})")
                margins.append((difference / se if se > 0 else math.inf, where))
        smallest, where = min(margins)
        margin = f"smallest margin {smallest:.1f} se, {where}" if math.isfinite(smallest) else "no spread"
        return decide(failed, f"at rates {listed(used)}; {margin}")

    return rule


def ratio_at_most(columns: Sequence[Column], rate: float, base: float, factor: float) -> Rule:
    """Each column at `rate` is at most `factor` times itself at `base` (smaller is better)."""

    def rule(reader: Reader) -> Outcome:
        reader.rates(base, rate)
        told, failed = [], []
        for column in columns:
            start, end = reader(column, base), reader(column, rate)
            told.append(f"{column.method} {times(end.mean, start.mean)}")
            if end.mean > factor * start.mean:
                failed.append(f"{told[-1]}, more than {factor:g}")
        return decide(failed, f"{', '.join(told)} from {base:g} to {rate:g}; at most {factor:g} allowed")

    return rule


def degrades(columns: Sequence[Column]) -> Rule:
    """Each column gets worse with the rate: no step clearly better, and clearly worse at the last rate than the first.

    The second part keeps a flat curve from passing.
    """

    def rule(reader: Reader) -> Outcome:
        rates = reader.rates(*THRESHOLDS.span)
        failed, told = [], []
        for column in columns:
            estimates = {rate: reader(column, rate) for rate in rates}
            for before, after in pairwise(rates):
                difference, se = gain(estimates[after], estimates[before], column.metric)
                if difference > THRESHOLDS.better * se:
                    failed.append(
                        f"{column.method} improves from {before:g} to {after:g} ({difference:.3g}, se {se:.2g})"
                    )
            rise, se = gain(estimates[rates[0]], estimates[rates[-1]], column.metric)
            told.append(f"{column.method} loses {rise:.3g} (se {se:.2g})")
            if rise <= THRESHOLDS.better * se:
                failed.append(f"{column.method} is not clearly worse at {rates[-1]:g} than at {rates[0]:g}")
        return decide(failed, f"{', '.join(told)} from {rates[0]:g} to {rates[-1]:g}, over rates {listed(rates)}")

    return rule


def rises_faster(fast: Column, slow: Column) -> Rule:
    """From the lowest rate (low) to the highest (high), `fast` loses more than `slow`, beyond the standard errors."""

    def rule(reader: Reader) -> Outcome:
        rates = reader.rates()
        if not rates or rates[0] > THRESHOLDS.low or rates[-1] < THRESHOLDS.high:
            raise Lacking(
                f"needs a missing rate of at most {THRESHOLDS.low:g} and one of at least {THRESHOLDS.high:g}; "
                f"there are {listed(rates) or 'none'}"
            )
        ends = {column: (reader(column, rates[0]), reader(column, rates[-1])) for column in (fast, slow)}
        rise = {column.method: gain(first, last, column.metric)[0] for column, (first, last) in ends.items()}
        difference, se = rise[fast.method] - rise[slow.method], _se(*ends[fast], *ends[slow])
        told = ", ".join(f"{method} loses {value:.3g}" for method, value in rise.items())
        text = f"{told} from {rates[0]:g} to {rates[-1]:g}; difference {difference:+.3g}, se {se:.2g}"
        return decide([text] if difference <= THRESHOLDS.better * se else [], text)

    return rule


def both_ways(make: Callable[[str], Rule], metric: str, other: str) -> Rule:
    """Decide by `metric`, and say what `other` would give: one draw and the mean of draws rank methods differently."""

    def rule(reader: Reader) -> Outcome:
        outcome = make(metric)(reader)
        try:
            verdict: str = make(other)(Reader(reader.runs, reader.shown)).verdict
        except Lacking as lacking:
            verdict = f"not tested ({lacking})"
        return Outcome(outcome.verdict, f"{outcome.reason}; by {other}: {verdict}")

    return rule


def _se(*estimates: Estimate) -> float:
    for estimate in estimates:
        if estimate.se is None:
            raise Lacking(f"one seed, and no bootstrap standard error of {estimate.name}")
    return math.hypot(*(estimate.se for estimate in estimates if estimate.se is not None))


def times(value: float, base: float) -> str:
    """A ratio as a text; the two numbers where there is none."""
    return f"x{value / base:.2f}" if base > 0 else f"{base:.3g} to {value:.3g}"


def decide(failed: Sequence[str], told: str) -> Outcome:
    """`fails` with what failed, else `holds` with what to tell."""
    return Outcome("fails", "; ".join(failed)) if failed else Outcome("holds", told)
