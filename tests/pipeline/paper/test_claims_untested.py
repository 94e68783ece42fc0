"""What leaves a claim untested: rates, methods, numbers and seeds that lack."""

import itertools

import pandas as pd
import pytest
from support.claims_world import IDS, RATES, SEEDS, deciding, expected_verdict, judge, variants, where, world

from ldmiss_pipeline.paper.claims import CLAIMS, Claim
from ldmiss_pipeline.paper.verdicts import verdict_lines

NEEDED = {  # rates without which a claim is not tested
    "1": (0.0, 0.5, 0.8), "2": (0.0, 0.5), "3": (0.0, 0.5, 0.8), "4": (0.5, 0.8), "5": (0.0, 0.5, 0.8), "6": (0.0, 0.8),
    "7": (0.0, 0.5, 0.8), "8": (0.0,), "9": (), "10": (0.5,), "11": (0.0, 0.8), "12": (0.0, 0.5, 0.8),
    "13": (0.0, 0.5, 0.8), "14": (0.0, 0.5, 0.8), "Q1": (0.5,), "Q2": (0.5,), "Q3": (0.5,),
}  # fmt: skip
WITHOUT_SPREAD = ("2", "4", "6", "10", "12", "13")
"""Decided by means alone."""


@pytest.mark.parametrize("rate", RATES)
def test_lacking_rates_leave_a_claim_untested(rate: float) -> None:
    """Each rate that a claim needs; without it the reason names it. Other rates may lack."""
    rates = [other for other in RATES if other != rate]
    for claim, record in judge(world(rates), variants(rates=rates)).items():
        if rate in NEEDED[claim]:
            assert record["verdict"] == "not tested"
            assert f"lacks missing rate {rate:g}" in record["reason"]
        else:
            assert record["verdict"] == expected_verdict(claim), (claim, record["reason"])


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"dataset": "fashion"}, "the data set is fashion; the paper's is MNIST"),
        ({"mechanism": "mnar"}, "pixels of the training images are missing by mechanism mnar; the paper's are by mcar"),
        (
            {"test_mechanism": "rows"},
            "pixels of the test images are missing by mechanism rows; the paper's are by mcar",
        ),
    ],
)
def test_no_claim_applies_elsewhere(metadata: dict[str, str], reason: str) -> None:
    """Neither tested nor failed, whatever the numbers are; one reason for all, and none of them is shown."""
    records = judge(world(**metadata), variants(**metadata))
    assert list(records) == IDS
    for record in records.values():
        assert (record["verdict"], record["reason"]) == ("not applicable", reason)
        assert (record["numbers"], record["rates"], record["num_seeds"]) == ([], [], None)
    assert verdict_lines(list(records.values())) == f"not applicable: {reason}"


def test_claims_apply_to_a_part_of_mnist_and_to_tables_without_mechanisms() -> None:
    """`mnist5k` is MNIST; before mechanisms were recorded there was one."""
    for table in (world(dataset="mnist5k"), world()[lambda t: ~where(t, "run.run.*")]):
        assert "not applicable" not in {record["verdict"] for record in judge(table, {}).values()}


def test_low_and_high_rates_are_needed_where_they_are_spoken_of() -> None:
    """Claims 9 and 10 take any rate in the range that they speak of."""
    assert judge(world((0.5, 0.6, 0.8)), {})["9"]["reason"].startswith("needs a missing rate of at most 0.3")
    assert judge(world((0.0, 0.3, 0.5)), {})["9"]["reason"].startswith("needs a missing rate of at most 0.3")
    assert judge(world((0.3, 0.6)), {})["9"]["verdict"] == "holds"
    assert judge(world((0.5, 0.8)), {})["10"]["reason"].startswith("needs a missing rate of at most 0.3 too")
    assert judge(world((0.3, 0.5)), {})["10"]["verdict"] == "holds"


def test_grids_of_the_profiles() -> None:
    """One cell decides the question about the Gaussian only; the rates 0, 0.5, 0.8 decide everything."""
    one = judge(world((0.5,)), {})
    assert {claim for claim in IDS if one[claim]["verdict"] != "not tested"} == {"Q1"}
    three = judge(world((0.0, 0.5, 0.8)), variants(rates=(0.0, 0.5, 0.8)))
    assert [three[claim]["verdict"] for claim in IDS] == [expected_verdict(claim) for claim in IDS]
    assert three["1"]["rates"] == [0.0, 0.5, 0.8]
    assert "at rates 0, 0.5, 0.8" in three["1"]["reason"]


def runs_for(claim: Claim) -> dict[str, pd.DataFrame]:
    """The tables that a claim reads, with few rates."""
    rates = (0.0, 0.5, 0.8)
    others = variants(rates=rates) if claim.variant else {}
    return {"main": world(rates)} | {name: table for name, table in others.items() if name == claim.variant}


def columns_of(claim: Claim) -> list[tuple[str, str]]:
    """(run, `task.method.metric`) of all that decides a claim."""
    runs = runs_for(claim)
    names = deciding(judge(runs.pop("main"), runs)[claim.id])
    return [(name.rpartition(":")[0] or "main", name.rpartition(":")[2]) for name in names]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_numbers_that_are_none_leave_a_claim_untested(claim: Claim) -> None:
    """NaN, infinite and empty values of any column that a claim reads, at one rate and seed; the reason names it."""
    rate = {"6": 0.8, "9": 0.8, "11": 0.8, "8": 0.0}.get(claim.id, 0.5)  # one that the claim looks at
    values = itertools.cycle([float("nan"), float("inf"), None, ""])
    for (run, name), value in zip(columns_of(claim), values, strict=False):
        runs = runs_for(claim)
        table = runs[run].astype({"value": object})
        rows = where(table, name, rate) & (table["seed"] == 43)
        assert rows.sum() == 1
        table.loc[rows, "value"] = value
        runs[run] = table
        record = judge(runs.pop("main"), runs)[claim.id]
        assert record["verdict"] == "not tested"
        found = "inf" if value == float("inf") else "nan"
        assert record["reason"] == f"{name} at missing rate {rate:g}, seed 43, is {found}"


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_lacking_methods_leave_a_claim_untested(claim: Claim) -> None:
    """A column that a claim reads is not in the table, or not for one seed: `not tested`, naming it."""
    for (run, name), seeds in zip(columns_of(claim), itertools.cycle([SEEDS, (44,)]), strict=False):
        runs = runs_for(claim)
        table = runs[run]
        runs[run] = table[~(where(table, name) & table["seed"].isin(seeds))]
        record = judge(runs.pop("main"), runs)[claim.id]
        assert record["verdict"] == "not tested"
        assert record["reason"].startswith(f"no {name} at missing rate "), record["reason"]
        assert record["reason"].endswith(f", seed {seeds[0]}")


def test_one_seed_stands_and_says_so() -> None:
    """The bootstrap's errors take the place of those over seeds; a claim about variance is not tested."""
    records = judge(world(seeds=(42,)), variants(seeds=(42,)))
    for claim, record in records.items():
        if claim == "5":
            assert record["verdict"] == "not tested"
            assert record["reason"].startswith("needs 3 seeds at every rate; there are 1 of generation.ldmiss.fid")
        else:
            assert record["verdict"] == "holds", record["reason"]
            assert record["num_seeds"] == 1
            assert record["reason"].endswith("; one seed")


def test_one_seed_without_bootstrap_errors() -> None:
    """Claims that compare beyond errors are not tested, naming what lacks; those by means alone are decided."""
    tables = {"main": world(seeds=(42,)), **variants(seeds=(42,))}
    tables = {name: table[~table["metric"].str.endswith("_se")] for name, table in tables.items()}
    for claim, record in judge(tables.pop("main"), tables).items():
        if claim in WITHOUT_SPREAD:
            assert record["verdict"] == "holds"
        elif claim != "5":
            assert record["verdict"] == "not tested"
            assert record["reason"].startswith("one seed, and no bootstrap standard error of ")


def test_two_seeds_are_too_few_for_variance_only() -> None:
    """Two seeds give a standard error, but no claim about variance."""
    records = judge(world(seeds=(42, 43)), variants(seeds=(42, 43)))
    assert records["5"]["verdict"] == "not tested"
    assert {record["verdict"] for claim, record in records.items() if claim != "5"} == {"holds"}


def test_one_draw_has_no_mean() -> None:
    """What is decided by the mean of K draws is not tested where K is 1; by one draw it is."""
    table = pd.concat([world(), pd.DataFrame([
        {"missing_rate": rate, "seed": seed, "task": "run", "method": "run", "metric": "num_draws", "value": "1"}
        for rate in RATES for seed in SEEDS
    ])])  # fmt: skip
    records = judge(table, {})
    for claim in ("10", "13", "Q1"):
        assert records[claim]["verdict"] == "not tested"
        assert records[claim]["reason"] == "no mean of several draws: num_draws is 1"
    assert records["14"]["verdict"] == expected_verdict("14")
    assert "by mse_mean: not tested" in records["14"]["reason"]
