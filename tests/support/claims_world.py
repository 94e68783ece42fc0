"""A synthetic table in which every claim holds, ways to change it, and its verdicts."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from ldmiss_pipeline.paper.tables import COLUMNS
from ldmiss_pipeline.paper.verdicts import claims_document

IDS = [*map(str, range(1, 15)), "Q1", "Q2", "Q3"]
RATES = (0.0, 0.1, 0.3, 0.5, 0.6, 0.8)
SEEDS = (42, 43, 44)
FID = {
    "ldmiss": (5, 5.2, 5.5, 6, 7, 10),
    "ddpm": (20, 24, 30, 40, 60, 120),
    "diffputer": (8, 8.5, 9, 10, 20, 40),
}
IS = {
    "ldmiss": (9.5, 9.5, 9.4, 9.4, 9.3, 9.0),
    "ddpm": (8.5, 8.3, 8.0, 7.5, 7.0, 5.0),
    "diffputer": (9.4, 9.3, 9.2, 9.0, 8.0, 6.0),
}
MSE = {
    "ldmiss-guidance": (0.0100, 0.0102, 0.0105, 0.0110, 0.0115, 0.0130),
    "ddpm-guidance": (0.015, 0.017, 0.020, 0.030, 0.050, 0.090),
    "ddpm-replacement": (0.020, 0.022, 0.025, 0.032, 0.045, 0.060),
    "diffputer-replacement": (0.0105, 0.0107, 0.0110, 0.0115, 0.0200, 0.0400),
    "autoencoder": (0.040, 0.030, 0.020, 0.0115, 0.0118, 0.017),
    "gaussian": (0.0160, 0.0162, 0.0165, 0.0170, 0.0175, 0.0200),
}
IMPUTED_FID = {"ldmiss-guidance": (10, 10, 10, 11, 11, 12), "diffputer-replacement": (10, 10, 11, 12, 20, 60)}
ACCURACY = {
    "ldmiss-guidance": (0.98, 0.98, 0.98, 0.97, 0.97, 0.96),
    "diffputer-replacement": (0.98, 0.98, 0.98, 0.97, 0.94, 0.90),
}
METADATA = {
    "classifier": {"accuracy": 0.99, "fid_floor": 2.0, "sha256": "abc", "dataset": "mnist", "fid_layer": "penultimate"},
    "run": {
        "profile": "paper", "learning_rates": "paper", "inference": "exact",
        "encoder_input": "faithful", "mechanism": "mcar", "test_mechanism": "mcar", "test_rate": 0.5,
        "deterministic": True, "num_imputed": 2000, "params_sha256": "a5",
    },
}  # fmt: skip

ROBUST_MSE = [(f"imputation.{method}.mse{way}", None, "x0.8") for method in ("ldmiss-guidance", "autoencoder")
              for way in ("", "_mean")]  # fmt: skip


def expected_verdict(claim: str) -> str:
    """Where the claim's rule is fulfilled."""
    return "consistent" if claim == "5" else "holds"


def world(rates: Sequence[float] = RATES, seeds: Sequence[int] = SEEDS, **metadata: Any) -> pd.DataFrame:
    """A table, rows of numbers and texts mixed as in memory; `metadata` replace those of the classifier and the run.

    Numbers of the n-th seed are (1 + noise (n - 1)) times the above, with a noise of 0.1 % for LDMiss and 1 % for the
    others; with one seed the noise is in the rows `<metric>_se`.
    """
    return _world(tuple(rates), tuple(seeds), tuple(sorted(metadata.items()))).copy()


@cache
def _world(rates: tuple[float, ...], seeds: tuple[int, ...], metadata: tuple[tuple[str, Any], ...]) -> pd.DataFrame:
    rows: list[tuple[Any, ...]] = []

    def add(rate: float, seed: int, task: str, method: str, metric: str, value: float) -> None:
        noise = 0.001 if method.startswith("ldmiss") else 0.01
        if len(seeds) == 1:
            rows.append((rate, seed, task, method, metric, value))
            rows.append((rate, seed, task, method, f"{metric}_se", noise * value))
        else:
            rows.append((rate, seed, task, method, metric, value * (1 + noise * (seeds.index(seed) - 1))))

    for rate in rates:
        at = float(np.interp(rate, RATES, range(len(RATES))))
        for seed in seeds:
            for task, metric, curves in (
                ("generation", "fid", FID),
                ("generation", "is", IS),
                ("imputation", "mse", MSE),
                ("imputation", "fid", IMPUTED_FID),
                ("imputation", "accuracy", ACCURACY),
            ):
                for method, curve in curves.items():
                    value = float(np.interp(at, range(len(RATES)), curve))
                    add(rate, seed, task, method, metric, value)
                    if metric == "mse":
                        add(rate, seed, task, method, "mse_draw", value)
                        share = 1.0 if method in ("autoencoder", "gaussian") else 0.6
                        add(rate, seed, task, method, "mse_mean", share * value)
            for task, texts in METADATA.items():
                rows += [
                    (rate, seed, task, task, name, dict(metadata).get(name, value)) for name, value in texts.items()
                ]
    return pd.DataFrame(rows, columns=COLUMNS)


def where(table: pd.DataFrame, column: str, rate: float | None = None) -> "pd.Series[bool]":
    """The rows of `task.method.metric` (any part may be *) at one rate, or at all."""
    chosen = pd.Series(True, index=table.index)
    for name, part in zip(("task", "method", "metric"), column.split("."), strict=True):
        chosen &= (table[name] == part) | (part == "*")
    return chosen if rate is None else chosen & (table["missing_rate"] == rate)


def changed(table: pd.DataFrame, column: str, rate: float | None, value: Any) -> pd.DataFrame:
    """A copy with the rows of a column set to a value, or multiplied where the value is a text like "x2"."""
    rows = where(table, column, rate)
    assert rows.any(), f"no {column} at {rate}"
    table = table.copy()
    if isinstance(value, str) and value.startswith("x"):
        table.loc[rows, "value"] = table.loc[rows, "value"].map(lambda old: old * float(value[1:]))
    else:
        table.loc[rows, "value"] = value
    return table


def variants(**kwargs: Any) -> dict[str, pd.DataFrame]:
    """The tables of a tuned and a robust run in which the questions about them hold."""
    robust = world(encoder_input="robust", params_sha256="b6", **kwargs)
    for column, rate, factor in ROBUST_MSE:
        robust = changed(robust, column, rate, factor)
    return {"tuned": world(learning_rates="tuned", params_sha256="c7", **kwargs), "robust": robust}


def deciding(record: Mapping[str, Any]) -> list[str]:
    """What decides a claim, in the order of reading: `task.method.metric`, and `run:` before those of a second run."""
    names = []
    for number in record["numbers"]:
        run = "" if number["run"] == "main" else f"{number['run']}:"
        if number["decides"]:
            names.append(f"{run}{number['task']}.{number['method']}.{number['metric']}")
    return list(dict.fromkeys(names))


def judge(table: pd.DataFrame, others: dict[str, pd.DataFrame] | None = None) -> dict[str, dict[str, Any]]:
    """Records by id, checked to be JSON without NaN."""
    document = claims_document(table, variants() if others is None else others)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    return {record["id"]: record for record in document["claims"]}
