"""Tables that no verdict may be computed from are refused."""

from typing import Any

import pandas as pd
import pytest
from support.claims_world import changed, where, world

from ldmiss.errors import InputError
from ldmiss_pipeline.paper.table_check import check_table


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
