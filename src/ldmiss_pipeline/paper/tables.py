"""Cells' metrics to the tidy table and the summary (pandas)."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

COLUMNS = ["missing_rate", "seed", "task", "method", "metric", "value"]


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

    generation.<method>.<metric>, imputation.<imputer>.<metric>, classifier.<metric>. Left out: texts, task "run", and
    the standard errors of single cells (`_se`), whose mean says nothing.
    """
    table = tidy(cells)
    numbers = table[table["value"].map(lambda value: isinstance(value, int | float)) & (table["task"] != "run")]
    numbers = numbers[~numbers["metric"].str.endswith("_se")]
    means = numbers.astype({"value": float}).groupby(["task", "method", "metric"], sort=False)["value"].mean()
    summary: dict[str, Any] = {"generation": {}, "imputation": {}, "classifier": {}}
    for row in means.reset_index().to_dict("records"):
        task, method = row["task"], row["method"]
        place = summary[task] if task == "classifier" else summary[task].setdefault(method, {})
        place[row["metric"]] = float(row["value"])
    return summary
