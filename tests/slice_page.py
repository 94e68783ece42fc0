"""Whether the README's section on results of slices says what their files say; its tables read back from Markdown."""

import json
import math
import re
from pathlib import Path

import pandas as pd
import pytest

from ldmiss.evaluation.tables import of_whole_seeds
from stages.slices.page import SHOWN, section

DIGITS = 0.0051
"""Relative: numbers are shown with three digits."""


def check_readme(text: str, folder: Path) -> None:
    """It is what is written of these files, all of it; and its tables are right, whoever wrote them."""
    assert text.strip() == section(folder).strip()
    if folder.exists():
        check_page(text, folder)


def check_page(text: str, folder: Path) -> None:
    """Every number of its tables is the table's, and none is left out; verdicts are those of `claims.json`."""
    table = of_whole_seeds(pd.read_csv(folder / "table.csv", dtype={"value": str}))
    measured = table[table["task"].isin(SHOWN)].astype({"value": float})
    means = measured.groupby(["task", "method", "metric", "missing_rate"])["value"].mean().to_dict()
    shown = shown_numbers(text)
    assert shown.keys() == {key for key in means if key[2] in SHOWN[key[0]]}
    assert shown == pytest.approx({key: means[key] for key in shown}, rel=DIGITS)
    facts = table[table["task"] == "run"].drop_duplicates("metric").set_index("metric")["value"]
    for method, statistic, images, rmse, mse, accuracy in own_errors(text):
        metric, fact = {"one draw": ("mse", "num_imputed"), "mean of draws": ("mse_mean", "num_draw_images")}[statistic]
        error = means[("imputation", method, metric, 0.5)]
        assert images == facts[fact]
        assert (rmse, mse) == pytest.approx((math.sqrt(error), error), abs=6e-5)
        assert accuracy in ("", f"{means[('imputation', method, 'accuracy', 0.5)]:.4f}")
    for claim in json.loads((folder / "claims.json").read_text())["claims"]:
        assert f"**{claim['verdict']}**: {claim['reason']} |" in text


def shown_numbers(text: str) -> dict[tuple[str, str, str, float], float]:
    """(task, method, metric, missing rate) -> number, of the two tables; empty cells are left out."""
    numbers = {}
    for task in SHOWN:
        found = re.search(rf"^\| {task} \|.*(\n\|.*)+", text, re.MULTILINE)
        assert found, f"no table of {task}"
        head, _, *rows = map(cells, found[0].splitlines())
        columns = [column.rsplit(" at ", 1) for column in head[1:]]
        for method, *values in rows:
            for (metric, rate), value in zip(columns, values, strict=True):
                if value:
                    numbers[(task, method, metric, float(rate))] = float(value)
    return numbers


def own_errors(text: str) -> list[tuple[str, str, str, float, float, str]]:
    """Method, statistic, test images, RMSE, MSE and accuracy of our rows beside the published ones."""
    rows = [cells(line) for line in text.splitlines() if "| this run" in line]
    return [(*of[:3], float(of[3]), float(of[4]), of[5]) for of in rows]


def cells(line: str) -> list[str]:
    """Of a line of a table."""
    return [cell.strip() for cell in line.strip("|").split("|")]
