"""The document of all verdicts: it says what was judged; second runs must fit the first; and as text."""

import io
from typing import Any

import pandas as pd
import pytest
from support.claims_world import changed, judge, where, world

from ldmiss.errors import InputError
from ldmiss_pipeline.paper.verdicts import claims_document, claims_markdown, verdict_lines


@pytest.mark.parametrize("dtype", [None, {"value": str}])
def test_a_table_read_back_from_csv_is_judged_alike(dtype: dict[str, Any] | None) -> None:
    """Texts in the column of values turn all of it into texts."""
    text = world().to_csv(index=False)
    assert claims_document(pd.read_csv(io.StringIO(text), dtype=dtype)) == claims_document(world())


def test_the_document_says_what_was_judged() -> None:
    """Classifier, data set, settings, cells and thresholds."""
    document = claims_document(world((0.5, 0.8), (7,)))
    assert document["table"] == {
        "sha256": "abc", "dataset": "mnist", "fid_layer": "penultimate",
        "profile": "paper", "learning_rates": "paper", "inference": "exact",
        "encoder_input": "faithful", "mechanism": "mcar", "test_mechanism": "mcar", "test_rate": "0.5",
        "deterministic": "True", "num_imputed": "2000", "params_sha256": "a5", "seeds": {"0.5": [7], "0.8": [7]},
    }  # fmt: skip
    assert document["thresholds"]["competitive"] == 1.1
    assert len(document["claims"]) == 17


def test_a_run_may_not_say_what_it_is() -> None:
    """Without any row of task "run" the paper's claims are judged; the variants cannot be compared."""
    table = world()
    table = table[~where(table, "run.*.*")]
    assert judge(table, {})["14"]["verdict"] == "holds"
    with pytest.raises(InputError, match=r"the tuned table: its learning_rates is not recorded; it must be tuned"):
        claims_document(world(), {"tuned": table})
    with pytest.raises(InputError, match=r"its deterministic is True, the main table's is not recorded"):
        claims_document(table, {"robust": world(encoder_input="robust")})


@pytest.mark.parametrize(
    ("name", "metadata", "message"),
    [
        ("tuned", {"sha256": "def"}, "the tuned table: its classifier sha256 is def, the main table's is abc"),
        ("tuned", {"fid_layer": "logits"}, "the tuned table: its classifier fid_layer is logits"),
        ("robust", {"dataset": "mnist5k"}, "the robust table: its classifier dataset is mnist5k"),
        ("tuned", {"learning_rates": "paper"}, "its learning_rates is paper; it must be tuned"),
        ("robust", {"encoder_input": "faithful"}, "its encoder_input is faithful; it must be robust"),
        ("robust", {"profile": "lite"}, "its profile is lite, the main table's is paper"),
        ("robust", {"learning_rates": "tuned"}, "its learning_rates is tuned, the main table's is paper"),
        ("tuned", {"test_rate": 0.8}, "its test_rate is 0.8, the main table's is 0.5"),
    ],
)
def test_variants_that_differ_in_more_are_refused(name: str, metadata: dict[str, Any], message: str) -> None:
    """Another classifier or data set, the wrong setting, or further settings that differ."""
    right = {"tuned": {"learning_rates": "tuned"}, "robust": {"encoder_input": "robust"}}[name]
    with pytest.raises(InputError) as refused:
        claims_document(world(), {name: world(**(right | metadata))})
    assert message in str(refused.value)


def test_variants_that_are_not_there_are_asked_for() -> None:
    """The reason gives the command; a main table that is the variant already leaves the question untested."""
    records = judge(world(), {})
    assert "`dvc exp run -S learning_rates=tuned` on the same grid" in records["Q2"]["reason"]
    assert "--robust TABLE" in records["Q3"]["reason"]
    assert (records["Q2"]["verdict"], records["Q3"]["verdict"]) == ("not tested", "not tested")
    assert (
        judge(world(learning_rates="tuned"), {})["Q2"]["reason"]
        == "the main table's learning_rates is tuned; it must be paper"
    )
    with pytest.raises(InputError, match="unknown 'other'; allowed: tuned, robust"):
        claims_document(world(), {"other": world()})


def test_variants_are_compared_at_the_rates_both_have() -> None:
    """And at no other; the encoder of a tuned run does not matter, for of it only the DDPM is compared."""
    others = {"tuned": changed(world((0.5, 0.8), learning_rates="tuned", encoder_input="robust"),
                               "generation.ddpm.fid", 0.8, 500.0)}  # fmt: skip
    record = judge(world(), others)["Q2"]
    assert (record["verdict"], record["rates"]) == ("holds", [0.5, 0.8])
    assert {(number["run"], number["method"]) for number in record["numbers"] if number["task"] == "generation"} == {
        ("main", "ldmiss"), ("tuned", "ddpm"),
    }  # fmt: skip


def test_markdown_and_lines() -> None:
    """One row per claim with equally many cells, the numbers that decide with their spread, and a caption."""
    records = claims_document(world((0.0, 0.5, 0.8)))["claims"]
    text = claims_markdown(records)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 17
    assert {row.count("|") for row in rows} == {8}
    assert "fid at 0, 0.5: ldmiss 5±0.005, 6±0.006; diffputer 8±0.08, 10±0.1" in rows[3]
    assert "| 3 | **holds**: " in rows[3]
    assert "**not tested**: needs the table of a second run" in rows[-1]
    assert "2 standard errors" in text.splitlines()[-1]
    assert len(verdict_lines(records).splitlines()) == 2 * 17


def test_recipes_are_compared_in_the_paper_profile_only() -> None:
    """The other profiles have learning rates of their own, so their "tuned" run would be no better tuned."""
    tables = {"tuned": world(profile="lite", learning_rates="tuned")}
    verdict = judge(world(profile="lite"), tables)["Q2"]
    assert verdict["verdict"] == "not tested"
    assert "profile lite has rates of its own" in verdict["reason"]
