"""The rules that decide the paper's claims, in code; which claim has which is in `ldmiss_pipeline.paper.claims`.

A rule reads estimates through an `EstimateReader` (which keeps what was read) and returns an `Outcome`. Where a claim
is a word ("most stable", "most reliable", "loses detail"), the rule here is our reading of it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Literal

from ldmiss_pipeline.paper.estimates import Column, EstimateReader, MissingEstimate, combined_error, gain, listed
from ldmiss_pipeline.paper.thresholds import THRESHOLDS

Verdict = Literal["holds", "fails", "consistent", "not tested", "not applicable"]

PAPER_IMPUTERS = ("ldmiss-guidance", "ddpm-guidance", "ddpm-replacement", "diffputer-replacement", "autoencoder")


@dataclass(frozen=True)
class Outcome:
    """A verdict and why, in words."""

    verdict: Verdict
    reason: str


Rule = Callable[[EstimateReader], Outcome]


def better(pairs: Sequence[tuple[Column, Column]], rates: Callable[[EstimateReader], Sequence[float]]) -> Rule:
    """The first of each pair is better than the second, by `THRESHOLDS.better` standard errors, at every rate."""

    def rule(reader: EstimateReader) -> Outcome:
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
        return _decide(failed, f"at rates {listed(used)}; {margin}")

    return rule


def ratio_at_most(columns: Sequence[Column], rate: float, base: float, factor: float) -> Rule:
    """Each column at `rate` is at most `factor` times itself at `base` (smaller is better)."""

    def rule(reader: EstimateReader) -> Outcome:
        reader.rates(base, rate)
        details, failed = [], []
        for column in columns:
            start, end = reader(column, base), reader(column, rate)
            details.append(f"{column.method} {_ratio_text(end.mean, start.mean)}")
            if end.mean > factor * start.mean:
                failed.append(f"{details[-1]}, more than {factor:g}")
        return _decide(failed, f"{', '.join(details)} from {base:g} to {rate:g}; at most {factor:g} allowed")

    return rule


def degrades(columns: Sequence[Column]) -> Rule:
    """Each column gets worse with the rate: no step clearly better, and clearly worse at the last rate than the first.

    The second part keeps a flat curve from passing.
    """

    def rule(reader: EstimateReader) -> Outcome:
        rates = reader.rates(*THRESHOLDS.span)
        details, failed = [], []
        for column in columns:
            estimates = {rate: reader(column, rate) for rate in rates}
            for before, after in pairwise(rates):
                difference, se = gain(estimates[after], estimates[before], column.metric)
                if difference > THRESHOLDS.better * se:
                    failed.append(
                        f"{column.method} improves from {before:g} to {after:g} ({difference:.3g}, se {se:.2g})"
                    )
            rise, se = gain(estimates[rates[0]], estimates[rates[-1]], column.metric)
            details.append(f"{column.method} loses {rise:.3g} (se {se:.2g})")
            if rise <= THRESHOLDS.better * se:
                failed.append(f"{column.method} is not clearly worse at {rates[-1]:g} than at {rates[0]:g}")
        return _decide(failed, f"{', '.join(details)} from {rates[0]:g} to {rates[-1]:g}, over rates {listed(rates)}")

    return rule


def rises_faster(fast: Column, slow: Column) -> Rule:
    """From the lowest rate (low) to the highest (high), `fast` loses more than `slow`, beyond the standard errors."""

    def rule(reader: EstimateReader) -> Outcome:
        rates = reader.rates()
        if not rates or rates[0] > THRESHOLDS.low or rates[-1] < THRESHOLDS.high:
            raise MissingEstimate(
                f"needs a missing rate of at most {THRESHOLDS.low:g} and one of at least {THRESHOLDS.high:g}; "
                f"there are {listed(rates) or 'none'}"
            )
        ends = {column: (reader(column, rates[0]), reader(column, rates[-1])) for column in (fast, slow)}
        rise = {column.method: gain(first, last, column.metric)[0] for column, (first, last) in ends.items()}
        difference, se = rise[fast.method] - rise[slow.method], combined_error(*ends[fast], *ends[slow])
        losses = ", ".join(f"{method} loses {value:.3g}" for method, value in rise.items())
        text = f"{losses} from {rates[0]:g} to {rates[-1]:g}; difference {difference:+.3g}, se {se:.2g}"
        return _decide([text] if difference <= THRESHOLDS.better * se else [], text)

    return rule


def most_stable(columns: Sequence[Column], base: float) -> Rule:
    """The first column grows by the smallest factor from `base` to every higher rate (smaller values are better)."""

    def rule(reader: EstimateReader) -> Outcome:
        rates = reader.rates(base, THRESHOLDS.span[-1])
        checks: dict[str, bool] = {}
        for rate in (rate for rate in rates if rate > base):
            ends = {column.method: (reader(column, rate).mean, reader(column, base).mean) for column in columns}
            own, *others = (end / start if start > 0 else math.inf for end, start in ends.values())
            growth = ", ".join(f"{method} {_ratio_text(*pair)}" for method, pair in ends.items())
            checks[f"{base:g} to {rate:g}: {growth}"] = own < min(others)
        return _decide(_failing(checks), "; ".join(checks))

    return rule


def lowest_variance(columns: Sequence[Column], rivals: Sequence[str]) -> Rule:
    """Each column's variance over seeds, averaged over the rates, is below that of each rival; at most `consistent`."""

    def rule(reader: EstimateReader) -> Outcome:
        rates = reader.rates(*THRESHOLDS.span)
        checks: dict[str, bool] = {}
        for column in columns:
            spread = {
                method: _spread(reader, Column(column.task, method, column.metric), rates)
                for method in (column.method, *rivals)
            }
            own, *others = spread.values()
            text = f"{column.metric}: " + ", ".join(f"{method} {value:.3g}" for method, value in spread.items())
            checks[f"{text} (sd over seeds, rates {listed(rates)})"] = own < min(others)
        outcome = _decide(_failing(checks), "; ".join(checks))
        return Outcome("consistent", outcome.reason) if outcome.verdict == "holds" else outcome

    return rule


def _spread(reader: EstimateReader, column: Column, rates: Sequence[float]) -> float:
    """The root of a column's variance over seeds, averaged over the rates."""
    variances = []
    for estimate in [reader(column, rate) for rate in rates]:
        if estimate.std is None or estimate.num_seeds < THRESHOLDS.variance_seeds:
            raise MissingEstimate(
                f"needs {THRESHOLDS.variance_seeds} seeds at every rate; "
                f"there are {estimate.num_seeds} of {estimate.name}"
            )
        variances.append(estimate.std**2)
    return math.sqrt(fmean(variances))


def competitive(method: str, metric: str) -> Rule:
    """At every low and moderate rate an imputer's error is at most `THRESHOLDS.competitive` times the paper's best."""

    def rule(reader: EstimateReader) -> Outcome:
        rates = [rate for rate in reader.rates(THRESHOLDS.moderate) if rate <= THRESHOLDS.moderate]
        if rates[0] > THRESHOLDS.low:
            raise MissingEstimate(f"needs a missing rate of at most {THRESHOLDS.low:g} too; there are {listed(rates)}")
        checks: dict[str, bool] = {}
        for rate in rates:
            errors = {other: reader(Column("imputation", other, metric), rate).mean for other in PAPER_IMPUTERS}
            best = min(errors, key=lambda other: errors[other])
            text = f"at {rate:g} {_ratio_text(errors[method], errors[best])} the best ({best})"
            checks[text] = errors[method] <= THRESHOLDS.competitive * errors[best]
        return _decide(_failing(checks), "; ".join(checks))

    return rule


def loses_detail(method: str, other: str) -> Rule:
    """At 0.8 the imputed digits of `method` have a worse FID and accuracy than those of `other`, and than its own at 0.

    Worse: by more than `THRESHOLDS.better` standard errors, in all four comparisons.
    """

    def rule(reader: EstimateReader) -> Outcome:
        first, last = THRESHOLDS.span[0], THRESHOLDS.span[-1]
        reader.rates(first, last)
        checks: dict[str, bool] = {}
        for name, rate in ((other, last), (method, first)):
            for metric in ("fid", "accuracy"):
                reference = reader(Column("imputation", name, metric), rate)
                loss, se = gain(reference, reader(Column("imputation", method, metric), last), metric)
                text = f"{metric} at {last:g} against {name} at {rate:g}: loses {loss:.3g} (se {se:.2g})"
                checks[text] = loss > THRESHOLDS.better * se
        return _decide(_failing(checks), "; ".join(checks))

    return rule


def reaches_only(method: str, other: str, metric: str, inside: Sequence[float]) -> Rule:
    """An imputer's error is competitive with another's at the rates `inside`, and at no other rate."""

    def rule(reader: EstimateReader) -> Outcome:
        checks: dict[str, bool] = {}
        for rate in reader.rates(*THRESHOLDS.span):
            error, reference = (reader(Column("imputation", name, metric), rate).mean for name in (method, other))
            reached = error <= THRESHOLDS.competitive * reference
            checks[f"at {rate:g} {_ratio_text(error, reference)}"] = reached == (rate in inside)
        return _decide(_failing(checks), f"{method} against {other}: {', '.join(checks)}")

    return rule


def most_reliable(method: str, metric: str) -> Rule:
    """The lowest error of the paper's imputers at its worst rate, and a mean over rates competitive with the best."""

    def rule(reader: EstimateReader) -> Outcome:
        rates = reader.rates(*THRESHOLDS.span)
        errors = {
            name: [reader(Column("imputation", name, metric), rate).mean for rate in rates] for name in PAPER_IMPUTERS
        }
        checks: dict[str, bool] = {}
        for words, of, factor in (("worst rate", max, 1.0), ("mean over rates", fmean, THRESHOLDS.competitive)):
            scores = {name: of(values) for name, values in errors.items()}
            best = min(scores, key=lambda name: (scores[name], name != method))
            text = f"{words}: {method} {scores[method]:.3g}, best {best} {scores[best]:.3g}"
            checks[text] = scores[method] <= factor * scores[best]
        return _decide(_failing(checks), f"{'; '.join(checks)}; rates {listed(rates)}")

    return rule


def both_ways(make: Callable[[str], Rule], metric: str, other: str) -> Rule:
    """Decide by `metric`, and say what `other` would give: one draw and the mean of draws rank methods differently."""

    def rule(reader: EstimateReader) -> Outcome:
        outcome = make(metric)(reader)
        try:
            verdict: str = make(other)(EstimateReader(reader.runs, reader.shown)).verdict
        except MissingEstimate as missing:
            verdict = f"not tested ({missing})"
        return Outcome(outcome.verdict, f"{outcome.reason}; by {other}: {verdict}")

    return rule


def _failing(checks: Mapping[str, bool]) -> list[str]:
    """The texts of the checks that did not pass."""
    return [text for text, passed in checks.items() if not passed]


def _decide(failed: Sequence[str], details: str) -> Outcome:
    """`fails` with what failed, else `holds` with the details."""
    return Outcome("fails", "; ".join(failed)) if failed else Outcome("holds", details)


def _ratio_text(value: float, base: float) -> str:
    """A ratio as a text; the two numbers where there is none."""
    return f"x{value / base:.2f}" if base > 0 else f"{base:.3g} to {value:.3g}"
