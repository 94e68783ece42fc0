"""Cells to the tidy table and the summary."""

from typing import Any

import pytest

from ldmiss_pipeline.paper.tables import COLUMNS, summarise, tidy


def cell(rate: float, seed: int, fid: float) -> dict[str, Any]:
    """A small cell."""
    return {
        "missing_rate": rate, "seed": seed,
        "generation": {"ldmiss": {"fid": fid, "is": 9}}, "imputation": {"mean": {"mse": 0.1}, "ddpm": {"mse": fid}},
        "classifier": {"accuracy": 0.99, "sha256": 64 * "a", "dataset": "mnist5k"},
        "run": {"learning_rates": "paper", "test_rate": 0.5},
    }  # fmt: skip


def test_tidy_has_one_row_per_number() -> None:
    """In the cells' order, with every key beside the value; texts stay texts."""
    table = tidy([cell(0.5, 42, 3.0), cell(0.8, 43, 5.0)])
    assert list(table.columns) == COLUMNS
    assert table.iloc[:9].to_numpy().tolist() == [
        [0.5, 42, "generation", "ldmiss", "fid", 3.0],
        [0.5, 42, "generation", "ldmiss", "is", 9],
        [0.5, 42, "imputation", "mean", "mse", 0.1],
        [0.5, 42, "imputation", "ddpm", "mse", 3.0],
        [0.5, 42, "classifier", "classifier", "accuracy", 0.99],
        [0.5, 42, "classifier", "classifier", "sha256", 64 * "a"],
        [0.5, 42, "classifier", "classifier", "dataset", "mnist5k"],
        [0.5, 42, "run", "run", "learning_rates", "paper"],
        [0.5, 42, "run", "run", "test_rate", 0.5],
    ]
    assert len(table) == 18
    assert set(table["missing_rate"][9:]) == {0.8}


def test_summary_is_the_mean_over_cells_under_fixed_keys() -> None:
    """No rate or seed in the keys; plain floats; and, as texts, what they are of."""
    summary = summarise([cell(0.5, 42, 3.0), cell(0.8, 43, 5.0), cell(0.1, 44, 13.0)])
    assert summary == {
        "run": {
            "learning_rates": "paper", "test_rate": 0.5, "dataset": "mnist5k", "classifier": 12 * "a",
            "missing_rates": "0.5, 0.8, 0.1", "seeds": "42, 43, 44",
        },
        "generation": {"ldmiss": {"fid": 7.0, "is": 9.0}},
        "imputation": {"mean": {"mse": pytest.approx(0.1)}, "ddpm": {"mse": 7.0}},
        "classifier": {"accuracy": pytest.approx(0.99)},
    }  # fmt: skip
    assert type(summary["generation"]["ldmiss"]["is"]) is float
