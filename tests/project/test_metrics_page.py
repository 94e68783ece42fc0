"""docs/metrics.md defines what the table has, and docs/artifacts.md reads what the stages write."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.imports import ROOT

from ldmiss.evaluation.measurement import Truth, measure_imputation

TASKS = {
    "generation": ("Generation",), "imputation": ("Imputation", "Uncertainty"), "classifier": ("Classifier",),
    "run": ("Run",),
}  # fmt: skip
"""Task of the table -> the sections that define its metrics."""


def defined(section: str) -> set[str]:
    """The metrics in the first column of a section's table."""
    (text,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", (ROOT / "docs/metrics.md").read_text(), re.S | re.M)
    first_columns = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return {name for column in first_columns for name in re.findall(r"`(\w+)`", column)}


@pytest.mark.parametrize("task", TASKS)
def test_every_metric_is_defined_and_every_definition_is_of_a_metric(task: str, project: Path) -> None:
    """The names of metrics/table.csv, task by task; `_se` is explained once for all."""
    table = pd.read_csv(project / "metrics/table.csv")
    assert set(table["task"]) == set(TASKS)
    emitted = {name.removesuffix("_se") for name in table.loc[table["task"] == task, "metric"]}
    assert emitted == set().union(*(defined(section) for section in TASKS[task]))


def test_metrics_of_held_out_pixels_are_defined() -> None:
    """Those that only a person's own images have."""
    zeros = np.zeros((3, 1, 8, 8), np.float32)
    draws = np.random.default_rng(0).random((3, 4, 1, 8, 8), np.float32)
    everything, no_classifier = np.ones(zeros.shape, bool), {"fid", "is", "accuracy", "mse_all"}
    own = Truth(zeros, everything, complete=False, to_units=lambda x: 2.0 * x, levels=None)
    metrics, _ = measure_imputation(draws[:, 0], np.arange(3), draws, own, seed=0)
    emitted = {name.removesuffix("_se") for name in metrics}
    elsewhere = defined("Imputation") | defined("Uncertainty")
    assert emitted - elsewhere == defined("Held-out pixels")
    assert elsewhere - emitted == no_classifier


def test_the_example_reads_the_files(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code of docs/artifacts.md, on a finished project."""
    text = (ROOT / "docs/artifacts.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.S)
    monkeypatch.chdir(project)
    exec(code, {})


FOLDERS = ("data/observed", "data/samples", "data/imputed", "metrics/cells")


def described(folder: str) -> dict[str, str]:
    """Member -> its dtype and shape, in the rows of docs/artifacts.md on the npz files of a folder."""
    members: dict[str, str] = {}
    file = ""
    for line in (ROOT / "docs/artifacts.md").read_text().splitlines():
        if line.startswith("| "):
            first, names, dtypes, *_ = line.removeprefix("| ").split(" | ")
            file = first or file
            if folder in file:
                members |= dict.fromkeys(re.findall(r"`([^`]+)`", names), dtypes)
    return members


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_member_is_described(folder: str, project: Path) -> None:
    """By its name, with its dtype."""
    members, paths = described(folder), sorted((project / folder).rglob("*.npz"))
    assert paths
    for path in paths:
        with np.load(path) as stored:
            for member in set(stored.files) - {"facts"}:
                name = re.sub(r"/.*", "/<method>" if member.startswith("samples") else "/<imputer>", member)
                assert str(stored[member].dtype) in members[name], f"{path.name}: {member}"
