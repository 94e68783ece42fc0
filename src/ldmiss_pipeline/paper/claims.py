"""The paper's claims and our own questions: what is claimed, and the rule that decides, in words and in code.

The rules' code is in `ldmiss_pipeline.paper.rules`, every number in it in `ldmiss_pipeline.paper.thresholds`. Where a
claim is a word ("most stable", "most reliable", "loses detail"), the rule is our reading of it, and says so.
"""

from dataclasses import dataclass
from functools import partial

from ldmiss_pipeline.paper.estimates import Column, EstimateReader
from ldmiss_pipeline.paper.rules import (
    Rule,
    better,
    both_ways,
    competitive,
    degrades,
    loses_detail,
    lowest_variance,
    most_reliable,
    most_stable,
    ratio_at_most,
    reaches_only,
    rises_faster,
)
from ldmiss_pipeline.paper.thresholds import THRESHOLDS


@dataclass(frozen=True)
class Claim:
    """One claim.

    Attributes:
        id: "1" to "14" (the paper's), "Q1" to "Q3" (our own questions).
        statement: what is claimed.
        section: of the paper; "own" for ours.
        short: the rule in few words, for a table; "better" and "every rate" as its caption says.
        rule: in words, with the rates it needs and our reading where the paper gives a word only.
        decide: the rule in code.
        variant: the second run that it needs, if any.
    """

    id: str
    statement: str
    section: str
    short: str
    rule: str
    decide: Rule
    variant: str | None = None


def _columns(task: str, methods: str, metrics: str, run: str = "main") -> tuple[Column, ...]:
    return tuple(Column(task, method, metric, run) for method in methods.split() for metric in metrics.split())


def _every_rate(reader: EstimateReader) -> list[float]:
    return reader.rates(*THRESHOLDS.span)


def _every_shared_rate(reader: EstimateReader) -> list[float]:
    return reader.rates(THRESHOLDS.moderate)


def _low_rates(reader: EstimateReader) -> list[float]:
    return [rate for rate in reader.rates(0.0) if rate <= THRESHOLDS.low]


_generated = partial(_columns, "generation")
_imputed = partial(_columns, "imputation")


def _ldmiss_over_ddpm(metric: str) -> Rule:
    (ldmiss,) = _imputed("ldmiss-guidance", metric)
    rivals = _imputed("ddpm-guidance ddpm-replacement", metric)
    return better([(ldmiss, rival) for rival in rivals], _every_rate)


def _guidance_over_replacement(metric: str) -> Rule:
    guidance, replacement = _imputed("ddpm-guidance ddpm-replacement", metric)
    return better([(guidance, replacement)], _low_rates)


def _over_gaussian(metric: str) -> Rule:
    ldmiss, gaussian = _imputed("ldmiss-guidance gaussian", metric)
    return better([(ldmiss, gaussian)], _every_shared_rate)


def _over_tuned(metric: str) -> Rule:
    pairs = list(zip(_generated("ldmiss", "fid is"), _generated("ddpm", "fid is", "tuned"), strict=True))
    (ldmiss,) = _imputed("ldmiss-guidance", metric)
    pairs += [(ldmiss, rival) for rival in _imputed("ddpm-guidance ddpm-replacement", metric, "tuned")]
    return better(pairs, _every_shared_rate)


def _robust_over_faithful(metric: str) -> Rule:
    methods = "ldmiss-guidance autoencoder"
    pairs = list(zip(_imputed(methods, metric, "robust"), _imputed(methods, metric), strict=True))
    return better(pairs, _every_shared_rate)


_BETTER = f"by more than {THRESHOLDS.better:g} standard errors"
_NEEDS_SPAN = "at every rate of the table up to 0.8, which must have 0, 0.5 and 0.8"

CLAIMS = (
    Claim(
        "1", "LDMiss samples have a better FID and IS than DDPM's at every rate", "6.1",
        "FID and IS better, every rate",
        f"better {_BETTER} in both, {_NEEDS_SPAN}",
        better(list(zip(_generated("ldmiss", "fid is"), _generated("ddpm", "fid is"), strict=True)), _every_rate),
    ),
    Claim(
        "2", "Sample quality of LDMiss and DiffPuter is stable up to 50 %", "6.1",
        f"FID(0.5) <= {THRESHOLDS.stable:g} FID(0), both",
        f"FID at 0.5 at most {THRESHOLDS.stable:g} x FID at 0, for both; needs 0 and 0.5; an FID includes its floor, "
        "so that few images flatter a ratio",
        ratio_at_most(_generated("ldmiss diffputer", "fid"), 0.5, 0.0, THRESHOLDS.stable),
    ),
    Claim(
        "3", "DDPM samples degrade with every step of the rate", "6.1",
        "FID: no step better, last rate worse than first",
        f"no step improves FID {_BETTER}, and FID at the last rate is worse than at the first {_BETTER}, {_NEEDS_SPAN}",
        degrades(_generated("ddpm", "fid")),
    ),
    Claim(
        "4", "LDMiss is the most stable above 50 %", "6.1",
        "FID(rate) / FID(0.5) smallest of the three, rates above 0.5",
        "our reading: FID(rate) / FID(0.5) is the smallest of the three generators at every rate above 0.5 up to 0.8; "
        "needs 0.5 and 0.8; a ratio, so a generator that is bad at 0.5 already can win it; it includes the floor",
        most_stable(_generated("ldmiss ddpm diffputer", "fid"), 0.5),
    ),
    Claim(
        "5", "LDMiss samples vary least across seeds", "6.1",
        "smallest variance over seeds of FID and IS",
        f"variance over seeds of FID and of IS, averaged over rates, the smallest of the three generators; needs "
        f"{THRESHOLDS.variance_seeds} seeds {_NEEDS_SPAN}; can at most be `consistent`",
        lowest_variance(_generated("ldmiss", "fid is"), ["ddpm", "diffputer"]),
    ),
    Claim(
        "6", "LDMiss imputation is robust, even trained with 80 % missing", "6.2",
        f"MSE(0.8) <= {THRESHOLDS.robust:g} MSE(0)",
        f"MSE at 0.8 at most {THRESHOLDS.robust:g} x MSE at 0; needs 0 and 0.8",
        both_ways(lambda metric: ratio_at_most(_imputed("ldmiss-guidance", metric), 0.8, 0.0, THRESHOLDS.robust),
                  "mse", "mse_mean"),
    ),
    Claim(
        "7", "DDPM imputation degrades with the rate", "6.2",
        "MSE: no step better, last rate worse than first, both imputers",
        f"guidance and replacement: no step improves MSE {_BETTER}, and MSE at the last rate is worse than at the "
        f"first {_BETTER}, {_NEEDS_SPAN}",
        both_ways(lambda metric: degrades(_imputed("ddpm-guidance ddpm-replacement", metric)), "mse", "mse_mean"),
    ),
    Claim(
        "8", "Within DDPM, guidance beats replacement at low rates", "6.2",
        f"MSE better, rates <= {THRESHOLDS.low:g}",
        f"MSE better {_BETTER} at every rate up to {THRESHOLDS.low:g}; needs 0",
        both_ways(_guidance_over_replacement, "mse", "mse_mean"),
    ),
    Claim(
        "9", "Within DDPM, guidance deteriorates faster at high rates", "6.2",
        f"rise of MSE from lowest to highest rate larger, by {THRESHOLDS.better:g} se",
        f"MSE rises by more than replacement's, {_BETTER}, from the lowest rate (at most {THRESHOLDS.low:g}) to the "
        f"highest (at least {THRESHOLDS.high:g})",
        both_ways(lambda metric: rises_faster(*_imputed("ddpm-guidance ddpm-replacement", metric)), "mse", "mse_mean"),
    ),
    Claim(
        "10", "DiffPuter is competitive in MSE at low to moderate rates", "6.2",
        f"mse_mean <= {THRESHOLDS.competitive:g} x best, rates <= {THRESHOLDS.moderate:g}",
        f"MSE of the mean of draws at most {THRESHOLDS.competitive:g} x the best of the paper's imputers at every rate "
        f"up to {THRESHOLDS.moderate:g}; needs 0.5 and a rate up to {THRESHOLDS.low:g}",
        both_ways(partial(competitive, "diffputer-replacement"), "mse_mean", "mse_draw"),
    ),
    Claim(
        "11", "DiffPuter's imputations lose detail at 80 %", "6.2",
        "FID and accuracy at 0.8 worse than LDMiss's, and than its own at 0",
        f"our reading: at 0.8 FID and accuracy of its imputed digits worse {_BETTER} than LDMiss's at 0.8 and than its "
        "own at 0; needs 0 and 0.8",
        loses_detail("diffputer-replacement", "ldmiss-guidance"),
    ),
    Claim(
        "12", "The autoencoder alone reaches the MSE of LDM guidance only at 50-60 %", "6.2",
        f"MSE <= {THRESHOLDS.competitive:g} x LDM guidance's at 0.5, 0.6 and at no other rate",
        f"MSE at most {THRESHOLDS.competitive:g} x LDM guidance's at 0.5 (and 0.6), and above that at every other rate "
        "up to 0.8; needs 0, 0.5 and 0.8",
        both_ways(lambda metric: reaches_only("autoencoder", "ldmiss-guidance", metric, (0.5, 0.6)),
                  "mse", "mse_mean"),
    ),
    Claim(
        "13", "LDMiss is the most reliable imputer over all rates", "6.2",
        f"mse_mean: lowest at the worst rate, mean over rates <= {THRESHOLDS.competitive:g} x best",
        "our reading: of the paper's five imputers, the lowest MSE (mean of draws) at its worst rate, and a mean over "
        f"rates at most {THRESHOLDS.competitive:g} x the best, over every rate up to 0.8; needs 0, 0.5 and 0.8",
        both_ways(partial(most_reliable, "ldmiss-guidance"), "mse_mean", "mse_draw"),
    ),
    Claim(
        "14", "LDMiss beats the pixel DDPM on imputation at all rates", "6.2, 7",
        "MSE better than both DDPM imputers', every rate",
        f"MSE better {_BETTER} than DDPM guidance's and replacement's, {_NEEDS_SPAN}",
        both_ways(_ldmiss_over_ddpm, "mse", "mse_mean"),
    ),
    Claim(
        "Q1", "Does LDMiss beat the linear Gaussian baseline?", "own",
        "mse_mean better, every rate there is",
        f"MSE of the mean of draws better {_BETTER} at every rate of the table up to 0.8; needs 0.5",
        both_ways(_over_gaussian, "mse_mean", "mse_draw"),
    ),
    Claim(
        "Q2", "Does the latent advantage survive when the pixel DDPM gets the tuned learning rates?", "own",
        "FID, IS and MSE better than the tuned DDPM's, every shared rate",
        f"LDMiss (paper's rates) better {_BETTER} than DDPM (tuned) in FID, IS and MSE (guidance and replacement) at "
        "every rate that both tables have, up to 0.8; needs 0.5",
        both_ways(_over_tuned, "mse", "mse_mean"),
        variant="tuned",
    ),
    Claim(
        "Q3", "Does the robust encoder beat the faithful one?", "own",
        "MSE better, LDMiss and autoencoder, every shared rate",
        f"MSE of LDMiss and of the autoencoder better {_BETTER} with the robust encoder at every rate that both "
        "tables have, up to 0.8; needs 0.5",
        both_ways(_robust_over_faithful, "mse", "mse_mean"),
        variant="robust",
    ),
)  # fmt: skip
