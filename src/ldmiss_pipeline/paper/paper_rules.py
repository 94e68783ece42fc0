"""Rules that only one claim of the paper has; those that several share are in `ldmiss_pipeline.paper.rules`.

Where a claim is a word ("most stable", "most reliable", "loses detail"), the rule here is our reading of it; its text
in `ldmiss_pipeline.paper.statements` says so.
"""

import math
from collections.abc import Sequence
from statistics import fmean

from ldmiss_pipeline.paper.results import Lacking
from ldmiss_pipeline.paper.rules import (
    PAPER_IMPUTERS,
    THRESHOLDS,
    Column,
    Outcome,
    Reader,
    Rule,
    decide,
    gain,
    listed,
    times,
)


def most_stable(columns: Sequence[Column], base: float) -> Rule:
    """The first column grows by the smallest factor from `base` to every higher rate (smaller values are better)."""

    def rule(reader: Reader) -> Outcome:
        rates = reader.rates(base, THRESHOLDS.span[-1])
        failed, told = _parts()
        for rate in (rate for rate in rates if rate > base):
            ends = {column.method: (reader(column, rate).mean, reader(column, base).mean) for column in columns}
            factors = {method: end / start if start > 0 else math.inf for method, (end, start) in ends.items()}
            text = f"{base:g} to {rate:g}: " + ", ".join(f"{method} {times(*pair)}" for method, pair in ends.items())
            own, *others = factors.values()
            (told if own < min(others) else failed).append(text)
        return decide(failed, "; ".join(told))

    return rule


def lowest_variance(columns: Sequence[Column], rivals: Sequence[str]) -> Rule:
    """Each column's variance over seeds, averaged over the rates, is below that of each rival; at most `consistent`."""

    def rule(reader: Reader) -> Outcome:
        rates = reader.rates(*THRESHOLDS.span)
        failed, told = _parts()
        for column in columns:
            spread = {}
            for method in (column.method, *rivals):
                estimates = [reader(Column(column.task, method, column.metric), rate) for rate in rates]
                for estimate in estimates:
                    if estimate.std is None or estimate.num_seeds < THRESHOLDS.variance_seeds:
                        raise Lacking(
                            f"needs {THRESHOLDS.variance_seeds} seeds at every rate; "
                            f"there are {estimate.num_seeds} of {estimate.name}"
                        )
                spread[method] = math.sqrt(fmean((estimate.std or 0) ** 2 for estimate in estimates))
            text = f"{column.metric}: " + ", ".join(f"{method} {value:.3g}" for method, value in spread.items())
            own, *others = spread.values()
            (told if own < min(others) else failed).append(f"{text} (sd over seeds, rates {listed(rates)})")
        outcome = decide(failed, "; ".join(told))
        return Outcome("consistent", outcome.reason) if outcome.verdict == "holds" else outcome

    return rule


def competitive(method: str, metric: str) -> Rule:
    """At every low and moderate rate an imputer's error is at most `THRESHOLDS.competitive` times the paper's best."""

    def rule(reader: Reader) -> Outcome:
        rates = [rate for rate in reader.rates(THRESHOLDS.moderate) if rate <= THRESHOLDS.moderate]
        if rates[0] > THRESHOLDS.low:
            raise Lacking(f"needs a missing rate of at most {THRESHOLDS.low:g} too; there are {listed(rates)}")
        failed, told = _parts()
        for rate in rates:
            errors = {other: reader(Column("imputation", other, metric), rate).mean for other in PAPER_IMPUTERS}
            best = min(errors, key=lambda other: errors[other])
            text = f"at {rate:g} {times(errors[method], errors[best])} the best ({best})"
            (told if errors[method] <= THRESHOLDS.competitive * errors[best] else failed).append(text)
        return decide(failed, "; ".join(told))

    return rule


def loses_detail(method: str, other: str) -> Rule:
    """At 0.8 the imputed digits of `method` have a worse FID and accuracy than those of `other`, and than its own at 0.

    Worse: by more than `THRESHOLDS.better` standard errors, in all four comparisons.
    """

    def rule(reader: Reader) -> Outcome:
        first, last = THRESHOLDS.span[0], THRESHOLDS.span[-1]
        reader.rates(first, last)
        failed, told = _parts()
        for name, rate in ((other, last), (method, first)):
            for metric in ("fid", "accuracy"):
                reference = reader(Column("imputation", name, metric), rate)
                loss, se = gain(reference, reader(Column("imputation", method, metric), last), metric)
                text = f"{metric} at {last:g} against {name} at {rate:g}: loses {loss:.3g} (se {se:.2g})"
                (told if loss > THRESHOLDS.better * se else failed).append(text)
        return decide(failed, "; ".join(told))

    return rule


def reaches_only(method: str, other: str, metric: str, inside: Sequence[float]) -> Rule:
    """An imputer's error is competitive with another's at the rates `inside`, and at no other rate."""

    def rule(reader: Reader) -> Outcome:
        rates = reader.rates(*THRESHOLDS.span)
        failed, told = _parts()
        for rate in rates:
            error, reference = (reader(Column("imputation", name, metric), rate).mean for name in (method, other))
            reached = error <= THRESHOLDS.competitive * reference
            text = f"at {rate:g} {times(error, reference)}"
            (told if reached == (rate in inside) else failed).append(text)
        return decide(failed, f"{method} against {other}: {', '.join(told)}")

    return rule


def most_reliable(method: str, metric: str) -> Rule:
    """Of the paper's imputers, the lowest error at its worst rate, and a mean over rates competitive with the best."""

    def rule(reader: Reader) -> Outcome:
        rates = reader.rates(*THRESHOLDS.span)
        errors = {
            name: [reader(Column("imputation", name, metric), rate).mean for rate in rates] for name in PAPER_IMPUTERS
        }
        failed, told = _parts()
        for words, of, factor in (("worst rate", max, 1.0), ("mean over rates", fmean, THRESHOLDS.competitive)):
            scores = {name: of(values) for name, values in errors.items()}
            best = min(scores, key=lambda name: (scores[name], name != method))
            text = f"{words}: {method} {scores[method]:.3g}, best {best} {scores[best]:.3g}"
            (told if scores[method] <= factor * scores[best] else failed).append(text)
        return decide(failed, f"{'; '.join(told)}; rates {listed(rates)}")

    return rule


def _parts() -> tuple[list[str], list[str]]:
    """What failed, and what to tell."""
    return [], []
