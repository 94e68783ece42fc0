"""The verdict on each claim of the paper, and on three questions of our own, from the tidy table of a run.

`holds` and `fails` are about this table: the run's data set, networks, seeds and classifier. With one seed a verdict
stands and says so (its errors are a bootstrap over images, without the noise of training); claims about variance need
three seeds and can at most be `consistent`. What the table cannot decide is `not tested`, with the reason. Of another
data set or mechanism than the paper's all are `not applicable`. The claims themselves are in
`ldmiss_pipeline.paper.claims`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import pandas as pd

from ldmiss.errors import InputError
from ldmiss_pipeline.paper.claims import CLAIMS, Claim
from ldmiss_pipeline.paper.estimates import Column, Estimate, EstimateReader, MissingEstimate, Results
from ldmiss_pipeline.paper.rules import Outcome
from ldmiss_pipeline.paper.scope import outside_the_paper
from ldmiss_pipeline.paper.table_check import SHARED_CLASSIFIER_METADATA, check_table
from ldmiss_pipeline.paper.thresholds import THRESHOLDS


class _Variant(NamedTuple):
    """A second run: the setting that tells it from the main one, its value in both, and the override that makes it."""

    setting: str
    of_main: str
    of_variant: str
    override: str


_VARIANTS = {
    "tuned": _Variant("learning_rates", "paper", "tuned", "learning_rates=tuned"),
    "robust": _Variant("encoder_input", "faithful", "robust", "vae.encoder_input=robust"),
}

UNDECIDED = ("not tested", "not applicable")

_CAPTION = (
    f"Better: the difference exceeds {THRESHOLDS.better:g} standard errors, over seeds (one seed: of a bootstrap over "
    "images, which knows nothing of the noise of training). Every rate: each of the table up to 0.8; a claim about "
    "every rate needs 0, 0.5 and 0.8. ± is the standard deviation over seeds, for one seed the bootstrap's standard "
    "error."
)


def claims_document(table: pd.DataFrame, variants: Mapping[str, pd.DataFrame] | None = None) -> dict[str, Any]:
    """Judge every claim: what `metrics/claims.json` holds.

    Args:
        table: tidy (`ldmiss_pipeline.paper.tables.COLUMNS`), in memory or read back from CSV.
        variants: further tables by name, for the questions that compare two runs: "tuned" (the same profile with
            learning rates `tuned`) and "robust" (with encoder input `robust`).

    Returns:
        ready for JSON (no NaN): "table" (what was judged), "thresholds", and "claims", one record per claim: id,
        statement, section, short and rule, verdict (holds | fails | consistent | not tested | not applicable), reason,
        num_seeds (the fewest of what decided it; None if nothing did), rates (those that were read), and numbers: task,
        method, metric, run, missing_rate, mean, std (over seeds; None for one), se, num_seeds, decides (False for what
        is only shown beside it).

    Raises:
        InputError: as `check_table`; or a variant was measured by another classifier or data set than the table, was
            made with other settings, or does not say that it is what its name says.
    """
    runs = _runs(table, variants)
    main = runs["main"]
    return {
        "table": {**main.metadata, "seeds": {f"{rate:g}": list(seeds) for rate, seeds in main.seeds.items()}},
        "thresholds": {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(THRESHOLDS).items()},
        "claims": [_record(claim, runs) for claim in CLAIMS],
    }


def _runs(table: pd.DataFrame, variants: Mapping[str, pd.DataFrame] | None) -> dict[str, Results]:
    runs = {"main": check_table(table)}
    for name, variant in (variants or {}).items():
        if name not in _VARIANTS:
            raise InputError(f"variants: unknown {name!r}; allowed: {', '.join(_VARIANTS)}")
        try:
            runs[name] = check_table(variant)
            _check_variant(name, runs[name].metadata, runs["main"].metadata)
        except InputError as error:
            raise InputError(f"the {name} table: {error}") from None
    return runs


def _check_variant(name: str, metadata: Mapping[str, str], main: Mapping[str, str]) -> None:
    """A variant differs from the main table in the one setting it is named after."""
    variant = _VARIANTS[name]
    if (found := metadata.get(variant.setting, "not recorded")) != variant.of_variant:
        raise InputError(
            f"its {variant.setting} is {found}; it must be {variant.of_variant} (make it with `-S {variant.override}`)"
        )
    for setting in sorted({*metadata, *main} - {variant.setting, "params_sha256"}):
        # of the tuned run only the DDPM is compared, which has no encoder
        if metadata.get(setting) != main.get(setting) and not (name == "tuned" and setting == "encoder_input"):
            label = f"classifier {setting}" if setting in SHARED_CLASSIFIER_METADATA else setting
            raise InputError(
                f"its {label} is {metadata.get(setting, 'not recorded')}, the main table's is "
                f"{main.get(setting, 'not recorded')}; they must be the same to be compared"
            )


def _record(claim: Claim, runs: Mapping[str, Results]) -> dict[str, Any]:
    reader = EstimateReader({name: results for name, results in runs.items() if name in ("main", claim.variant)})
    outcome = _outcome(claim, runs, reader)
    num_seeds = min((estimate.num_seeds for estimate in reader.read.values()), default=None)
    reason = outcome.reason
    if num_seeds == 1 and outcome.verdict not in UNDECIDED:
        reason += "; one seed"
    shown = {key: estimate for key, estimate in reader.shown.items() if key not in reader.read}
    return {
        "id": claim.id,
        "statement": claim.statement,
        "section": claim.section,
        "short": claim.short,
        "rule": claim.rule,
        "verdict": outcome.verdict,
        "reason": reason,
        "num_seeds": num_seeds,
        "rates": sorted({rate for _, rate in reader.read}),
        "numbers": [_number(*key, estimate, decides=True) for key, estimate in reader.read.items()]
        + [_number(*key, estimate, decides=False) for key, estimate in shown.items()],
    }


def _outcome(claim: Claim, runs: Mapping[str, Results], reader: EstimateReader) -> Outcome:
    if reason := outside_the_paper(runs["main"].metadata):
        return Outcome("not applicable", reason)
    try:
        _check_runs(claim, runs)
        return claim.decide(reader)
    except MissingEstimate as missing:
        return Outcome("not tested", str(missing))


def _check_runs(claim: Claim, runs: Mapping[str, Results]) -> None:
    """A question about two runs needs both, and they have to differ."""
    if claim.variant is None:
        return
    variant, metadata = _VARIANTS[claim.variant], runs["main"].metadata
    if (found := metadata.get(variant.setting, variant.of_main)) != variant.of_main:
        raise MissingEstimate(f"the main table's {variant.setting} is {found}; it must be {variant.of_main}")
    if claim.variant == "tuned" and (profile := metadata.get("profile", "paper")) != "paper":
        raise MissingEstimate(f"profile {profile} has rates of its own; they differ in profile paper alone")
    if claim.variant not in runs:
        raise MissingEstimate(
            f"needs the table of a second run (`dvc exp run -S {variant.override}` on the same grid), given to "
            f"`python -m ldmiss_pipeline claims TABLE --{claim.variant} TABLE`"
        )


def _number(column: Column, rate: float, estimate: Estimate, *, decides: bool) -> dict[str, Any]:
    return {
        **asdict(column),
        "missing_rate": rate,
        "mean": estimate.mean,
        "std": estimate.std,
        "se": estimate.se,
        "num_seeds": estimate.num_seeds,
        "decides": decides,
    }


def claims_markdown(records: Sequence[Mapping[str, Any]]) -> str:
    """The records as a table in Markdown: claim, section, rule, numbers, seeds, verdict and reason.

    Numbers are those that decide, by metric and method over the rates; the JSON has all. A caption says how to read it.
    """
    lines = ["| | claim | section | rule | numbers | seeds | verdict |", "|---|---|---|---|---|---|---|"]
    for record in records:
        cells = (
            record["id"],
            record["statement"],
            record["section"],
            record["short"],
            _numbers_text(record["numbers"]) if record["verdict"] not in UNDECIDED else "",
            record["num_seeds"] or "",
            f"**{record['verdict']}**: {record['reason']}",
        )
        lines.append(f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |")
    return "\n".join([*lines, "", _CAPTION]) + "\n"


def verdict_lines(records: Sequence[Mapping[str, Any]]) -> str:
    """One line per claim for a terminal: id, verdict, statement; and below it why. One for all that do not apply."""
    if records and all(record["verdict"] == "not applicable" for record in records):
        return f"not applicable: {records[0]['reason']}"
    return "\n".join(
        f"{record['id']:>3}  {record['verdict']:10}  {record['statement']}\n{'':17}{record['reason']}"
        for record in records
    )


def _numbers_text(numbers: Sequence[Mapping[str, Any]]) -> str:
    """`fid at 0, 0.5: ldmiss 3.1±0.2, 4±0.1; ddpm ...`, one part per metric and set of rates."""
    series: dict[tuple[str, str], dict[float, str]] = {}
    for number in numbers:
        if number["decides"]:
            spread = number["std"] if number["std"] is not None else number["se"]
            text = _short(number["mean"]) + (f"±{spread:.2g}" if spread is not None else "")
            method = number["method"] + ("" if number["run"] == "main" else f" ({number['run']})")
            series.setdefault((number["metric"], method), {})[number["missing_rate"]] = text
    parts: dict[tuple[str, tuple[float, ...]], list[str]] = {}
    for (metric, method), by_rate in series.items():
        rates = tuple(sorted(by_rate))
        parts.setdefault((metric, rates), []).append(f"{method} {', '.join(by_rate[rate] for rate in rates)}")
    return "<br>".join(
        f"{metric} at {', '.join(f'{rate:g}' for rate in rates)}: {'; '.join(of_methods)}"
        for (metric, rates), of_methods in parts.items()
    )


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
