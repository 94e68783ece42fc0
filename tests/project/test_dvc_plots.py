"""`dvc plots show` draws what was measured, whatever methods and rates there are."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.imports import ROOT

from ldmiss.figures.curves import COLUMNS as POINTS
from ldmiss.figures.losses import COLUMNS as LOSSES

PLOTS: list[Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
CHARTS = {path: chart for plot in PLOTS if isinstance(plot, dict) for path, chart in plot.items()}
TABLES = {
    "plots/figure1.csv": (POINTS, "fid,ldmiss,0.5,120.5,,3.5,1\nis,ldmiss,0.5,7.5,,0.2,1\n"),
    "plots/figure3.csv": (POINTS, "mse,my-method,0.1,0.01,,,1\nmse,my-method,0.5,0.02,,,1\n"),
    "plots/training_curves.csv": (LOSSES, "vae,0.5,1,2.5\n"),
}


def fields(template: Any) -> set[str]:
    """The columns that a template names, but those that DVC fills in."""
    if isinstance(template, list):
        return set().union(*map(fields, template))
    if not isinstance(template, dict):
        return set()
    named = {template["field"]} if "field" in template else set()
    return {name for name in named.union(*map(fields, template.values())) if not name.startswith("<DVC_METRIC_")}


@pytest.mark.parametrize("path", CHARTS)
def test_charts_name_no_method(path: str) -> None:
    """Only columns that the table has in every run; methods and rates are values in them."""
    chart, (columns, _) = CHARTS[path], TABLES[path]
    template = json.loads((ROOT / f".dvc/plots/{chart['template']}.json").read_text())
    assert {chart["x"], chart["y"]} <= set(columns)
    assert fields(template) - {"rev"} <= set(columns)


def test_every_picture_is_an_out() -> None:
    """What `plots` lists is made by the stage `plot`."""
    outs = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["plot"]["outs"]
    assert {plot if isinstance(plot, str) else next(iter(plot)) for plot in PLOTS} <= set(outs)
    assert [out.removesuffix(".png") for out in outs if out.endswith(".png")] == [
        out.removesuffix(".pdf") for out in outs if out.endswith(".pdf")
    ]


@pytest.mark.parametrize("without", [None, "plots/figure1.csv"])
def test_charts_of_one_method_are_not_blank(without: str | None, tmp_path: Path) -> None:
    """DVC itself fills every template with all rows of a table, of methods that it knows nothing of.

    Figure 1 has no rows where images have no labels; the other charts are drawn all the same.
    """
    for name in ("dvc.yaml", "params.yaml", ".dvc/config", ".dvc/plots", ".dvc/tpl"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        (tmp_path / name).parent.mkdir(exist_ok=True)
        copy(ROOT / name, tmp_path / name)
    (tmp_path / ".dvc/config.local").write_text("[core]\n    no_scm = true\n")
    (tmp_path / "plots").mkdir()
    tables = {path: (columns, "" if path == without else rows) for path, (columns, rows) in TABLES.items()}
    for path, (columns, rows) in tables.items():
        (tmp_path / path).write_text(",".join(columns) + "\n" + rows)
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(tmp_path / "site")}
    command = [sys.executable, "-m", "dvc", "plots", "show", "--json"]
    output = subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True).stdout
    shown = json.loads(output)["data"]
    for path, (columns, rows) in tables.items():
        if path == without:
            assert not shown[path]
            continue
        (chart,) = shown[path]
        values = [[row[name] for name in columns] for row in chart["content"]["data"]["values"]]
        assert values == [line.split(",") for line in rows.splitlines()]
