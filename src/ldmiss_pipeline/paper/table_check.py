"""Is this a tidy table of one run, from which verdicts on the paper's claims can be computed?

Errors of the whole table (a text where a number belongs, a row twice, two classifiers) raise `InputError` here; what
only one claim lacks (a rate, a method, a NaN) raises `MissingEstimate` when it is read, and makes that claim `not
tested`.
"""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from ldmiss.errors import InputError
from ldmiss_pipeline.paper.estimates import Results
from ldmiss_pipeline.paper.tables import COLUMNS, SHARED_SETTINGS

KEYS = COLUMNS[:-1]
_NUMERIC_TASKS = ("generation", "imputation")
SHARED_CLASSIFIER_METADATA = ("sha256", "dataset", "fid_layer")
"""What of the classifier must be the same in all cells: FIDs compare under one classifier and layer only."""
_REQUIRED = ("sha256", "dataset")
"""What every cell must name; the others were not always recorded: all cells have them, or none."""


def check_table(table: pd.DataFrame) -> Results:
    """Check a tidy table and index it.

    Args:
        table: columns `ldmiss_pipeline.paper.tables.COLUMNS`, in memory (numbers and texts mixed) or read back from CSV
            (everything a text). NaN and empty values of generation and imputation are kept, as NaN.

    Raises:
        InputError: a column is missing; no rows; a rate or seed is no number in range; a row is there twice; a text
            stands where a number belongs; cells were measured by different classifiers, on different data sets, or
            were made with different settings; a cell does not name its classifier, or that it has none (images
            without labels).
    """
    if absent := [column for column in COLUMNS if column not in table]:
        raise InputError(f"the table has no column {', '.join(absent)}; it must have {', '.join(COLUMNS)}")
    rows = [
        (_rate(rate, number), _seed(seed, number), str(task), str(method), str(metric), value)
        for number, (rate, seed, task, method, metric, value) in enumerate(table[COLUMNS].itertuples(index=False))
    ]
    if not rows:
        raise InputError("the table has no rows")
    seen: set[tuple[Any, ...]] = set()
    for row in rows:
        if row[:-1] in seen:
            raise InputError(f"the row {_named(row)} is there twice; each may be there once")
        seen.add(row[:-1])
    cells = sorted({row[:2] for row in rows})
    sources = {row[:2]: row[-1] for row in rows if row[2:5] == ("classifier", "classifier", "source")}
    without_classifier = all(sources.get(cell) == "none" for cell in cells)
    values: dict[tuple[str, str, str], dict[tuple[float, int], float]] = {}
    for row in rows:
        rate, seed, task, method, metric, _ = row
        if task in _NUMERIC_TASKS:
            values.setdefault((task, method, metric), {})[(rate, seed)] = _number(row)
    return Results(
        values=values,
        seeds={rate: tuple(seed for at, seed in cells if at == rate) for rate, _ in cells},
        metadata={
            **_shared(
                rows, cells, "classifier", SHARED_CLASSIFIER_METADATA, ("dataset",) if without_classifier else _REQUIRED
            ),
            **_shared(rows, cells, "run", SHARED_SETTINGS),
        },
    )


def _shared(
    rows: Iterable[tuple[Any, ...]],
    cells: list[Any],
    task: str,
    metrics: tuple[str, ...],
    required: tuple[str, ...] = (),
) -> dict[str, str]:
    """The texts of a task that must be the same in every cell; what is not required may lack in all of them."""
    found: dict[str, dict[tuple[float, int], str]] = {metric: {} for metric in metrics}
    for rate, seed, of_task, _, metric, value in rows:
        if of_task == task and metric in found and not pd.isna(value):
            found[metric][(rate, seed)] = str(value)
    metadata = {}
    for metric, by_cell in found.items():
        if not by_cell and metric not in required:
            continue
        for rate, seed in cells:
            if (rate, seed) not in by_cell:
                raise InputError(f"no {task} {metric} at missing_rate {rate:g}, seed {seed}; every cell must have one")
        first: dict[str, tuple[float, int]] = {}
        for cell in cells:
            first.setdefault(by_cell[cell], cell)
        if len(first) > 1:
            named = "; ".join(f"{text} at missing_rate {cell[0]:g}, seed {cell[1]}" for text, cell in first.items())
            raise InputError(f"{task} {metric} differs: {named}; all cells must share one to be compared")
        metadata[metric] = next(iter(first))
    return metadata


def _rate(value: Any, number: int) -> float:
    rate = _float(value)
    if rate is None or not 0 <= rate < 1:
        raise InputError(f"row {number}: missing_rate is {value!r}; it must be a number in [0, 1)")
    return round(rate, 4)


def _seed(value: Any, number: int) -> int:
    """The seed to its last digit: through a float, 2**53 and 2**53 + 1 would be one cell."""
    digits = str(value)  # an integer, or the text of one
    if not (digits.isascii() and digits.isdigit() and len(digits) < 20 and int(digits) < 2**63):
        raise InputError(f"row {number}: seed is {value!r}; it must be an integer in [0, 2**63)")
    return int(digits)


def _number(row: tuple[Any, ...]) -> float:
    if row[-1] is None or row[-1] is pd.NA or row[-1] == "":
        return math.nan
    number = _float(row[-1])
    if number is None:
        raise InputError(f"the value of the row {_named(row)} is {row[-1]!r}; it must be a number")
    return number


def _float(value: Any) -> float | None:
    if isinstance(value, bool | np.bool_):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _named(row: tuple[Any, ...]) -> str:
    return ", ".join(f"{key} {part}" for key, part in zip(KEYS, row, strict=False))
