"""Cells' metrics to the tidy table and the summary (pandas)."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

COLUMNS = ["missing_rate", "seed", "task", "method", "metric", "value"]
SHARED_SETTINGS = (
    "profile", "learning_rates", "inference", "encoder_input", "mechanism", "test_mechanism", "test_rate", "fill",
    "deterministic", "num_generated", "num_imputed", "num_draws", "num_draw_images", "units", "params_sha256",
)  # fmt: skip
"""Settings of a run (task "run") that all cells must share: FIDs of different numbers of images do not compare."""


def tidy(cells: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row per number.

    Args:
        cells: each {"missing_rate", "seed", "generation": {method: {metric: value}}, "imputation": {...},
            "classifier": {metric: value}, and, where known, "run": {setting: value}}.

    Returns:
        columns missing_rate, seed, task, method, metric, value, in the cells' order. Texts (hashes) stay texts.
        Tasks: generation, imputation, classifier (method "classifier") and run (method "run").
    """
    rows: list[tuple[Any, ...]] = []
    for cell in cells:
        key = (cell["missing_rate"], cell["seed"])
        for task in ("generation", "imputation"):
            for method, metrics in cell[task].items():
                rows += [(*key, task, method, metric, value) for metric, value in metrics.items()]
        for task in ("classifier", "run"):
            rows += [(*key, task, task, metric, value) for metric, value in cell.get(task, {}).items()]
    return pd.DataFrame(rows, columns=COLUMNS)


def summarise(cells: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over the cells under fixed keys (no rate or seed in them), so that two experiments can be compared.

    run.<setting>: what the numbers are of, so that `dvc metrics diff` shows where two runs are not like for like.
    generation.<method>.<metric>, imputation.<imputer>.<metric>, classifier.<metric>. Left out: other texts, and the
    standard errors of single cells (`_se`), whose mean says nothing.
    """
    table = tidy(cells)
    numbers = table[table["value"].map(lambda value: isinstance(value, int | float)) & (table["task"] != "run")]
    numbers = numbers[~numbers["metric"].str.endswith("_se")]
    means = numbers.astype({"value": float}).groupby(["task", "method", "metric"], sort=False)["value"].mean()
    summary: dict[str, Any] = {"run": _shared_settings(cells), "generation": {}, "imputation": {}, "classifier": {}}
    for row in means.reset_index().to_dict("records"):
        task, method = row["task"], row["method"]
        place = summary[task] if task == "classifier" else summary[task].setdefault(method, {})
        place[row["metric"]] = float(row["value"])
    return summary


def _shared_settings(cells: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What all cells of a grid share, and their rates and seeds as text: DVC compares numbers and texts, not lists."""
    run, classifier = cells[0].get("run", {}), cells[0]["classifier"]
    settings = {name: run[name] for name in SHARED_SETTINGS if name in run}
    settings |= {"params_sha256": run["params_sha256"][:12]} if "params_sha256" in run else {}
    measured = {"classifier": classifier["sha256"][:12] if "sha256" in classifier else "none"}
    measured |= {name: classifier[name] for name in ("dataset", "fid_layer") if name in classifier}
    rates, seeds = (", ".join(dict.fromkeys(str(cell[key]) for cell in cells)) for key in ("missing_rate", "seed"))
    return {**settings, **measured, "missing_rates": rates, "seeds": seeds}
