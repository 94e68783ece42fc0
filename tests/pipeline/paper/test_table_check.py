"""Tables that no verdict may be computed from are refused."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.claims_world import changed, where, world

from ldmiss.errors import InputError
from ldmiss_pipeline.paper.claims_command import merge
from ldmiss_pipeline.paper.table_check import check_table
from ldmiss_pipeline.paper.verdicts import claims_document


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: pd.concat([t, t.iloc[[3]]]),
         "missing_rate 0.0, seed 42, task generation, method ldmiss, metric is is there twice"),
        (lambda t: t.drop(columns="seed"), "no column seed"),
        (lambda t: t.iloc[:0], "no rows"),
        (lambda t: changed(t, "generation.ddpm.fid", 0.5, "many"),
         "missing_rate 0.5, seed 42, task generation, method ddpm, metric fid is 'many'; it must be a number"),
        (lambda t: changed(t, "imputation.gaussian.mse", 0.5, True), "metric mse is True; it must be a number"),
        (lambda t: changed(t, "classifier.classifier.sha256", 0.5, "def"),
         "classifier sha256 differs: abc at missing_rate 0, seed 42; def at missing_rate 0.5, seed 42"),
        (lambda t: changed(t, "classifier.classifier.dataset", 0.8, "mnist5k"), "classifier dataset differs: mnist at"),
        (lambda t: changed(t, "classifier.classifier.fid_layer", 0.8, "logits"),
         "classifier fid_layer differs: penultimate at missing_rate 0, seed 42; logits at missing_rate 0.8, seed 42"),
        (lambda t: changed(t, "run.run.profile", 0.8, "quick"), "run profile differs: paper at"),
        (lambda t: changed(t, "run.run.inference", 0.8, "fast"), "run inference differs: exact at"),
        (lambda t: changed(t, "run.run.deterministic", 0.8, False),
         "run deterministic differs: True at missing_rate 0, seed 42; False at missing_rate 0.8, seed 42"),
        (lambda t: t[~where(t, "run.run.test_rate", 0.1)], "no run test_rate at missing_rate 0.1, seed 42"),
        (lambda t: t[~where(t, "classifier.classifier.sha256", 0.1)], "no classifier sha256 at missing_rate 0.1"),
        (lambda t: t[~where(t, "classifier.*.*")], "no classifier sha256 at missing_rate 0, seed 42"),
        (lambda t: t.replace({"missing_rate": {0.5: 1.5}}), "missing_rate is 1.5; it must be a number in [0, 1)"),
        (lambda t: t.replace({"missing_rate": {0.5: float("nan")}}), "missing_rate is nan"),
        (lambda t: t.astype({"seed": object}).replace({"seed": {43: "x"}}), "seed is 'x'; it must be an integer"),
    ],
)  # fmt: skip
def test_bad_tables_are_refused(change: Any, message: str) -> None:
    """One line that names the row, and what is allowed; in memory and as CSV."""
    table = change(world().astype({"value": object}))
    with pytest.raises(InputError) as refused:
        check_table(table)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def without_labels(table: pd.DataFrame) -> pd.DataFrame:
    """The table of images without labels: no classifier, and nothing that needs one."""
    table = table[~(where(table, "generation.*.*") | table["metric"].isin(["fid", "is", "accuracy", "fid_floor"]))]
    table = table[~where(table, "classifier.classifier.fid_layer")]
    return table.replace({"metric": {"sha256": "source"}, "value": {"abc": "none"}})


def test_images_without_labels_have_no_classifier() -> None:
    """All cells say so, or all name theirs."""
    table = without_labels(world(dataset="faces"))
    metadata = check_table(table).metadata
    assert metadata["dataset"] == "faces"
    assert "sha256" not in metadata
    mixed = pd.concat([table[table["missing_rate"] > 0], world((0.0,), dataset="faces")])
    with pytest.raises(InputError, match=r"no classifier sha256 at missing_rate 0.1, seed 42"):
        check_table(mixed)
    with pytest.raises(InputError, match=r"no classifier dataset at missing_rate 0, seed 42"):
        check_table(table[~where(table, "classifier.classifier.dataset")])


@pytest.mark.parametrize("seeds", [(2**53, 2**53 + 1), (2**63 - 2, 2**63 - 1)])
def test_seeds_stay_integers(seeds: tuple[int, int], tmp_path: Path) -> None:
    """Two neighbours above 2**53, which are one float, are two cells: in memory, from CSV, and in the verdicts."""
    table = world(seeds=seeds)
    assert check_table(table).seeds[0.5] == seeds
    table.to_csv(tmp_path / "table.csv", index=False)
    read = merge([tmp_path / "table.csv"])
    assert check_table(read).seeds[0.5] == seeds
    assert sorted(set(read["seed"])) == list(seeds)
    assert claims_document(read) == claims_document(table)


@pytest.mark.parametrize("seed", [-1, 2**63, 42.0, 42.5, float("nan"), True, "4_2", "", "9" * 30])
def test_what_is_no_seed_is_refused(seed: Any) -> None:
    """Anything but an integer that params allow, as a number or as a text."""
    table = world((0.5,), (42,)).astype({"seed": object})
    table["seed"] = pd.Series([seed] * len(table), dtype=object)
    with pytest.raises(InputError, match=r"row 0: seed is .*; it must be an integer in \[0, 2\*\*63\)"):
        check_table(table)
