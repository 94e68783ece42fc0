"""The command that judges tables of several runs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from support.claims_world import RATES, changed, world
from support.imports import ROOT

from ldmiss_pipeline.paper.claims_command import main
from ldmiss_pipeline.paper.verdicts import claims_document


def save(folder: Path, name: str, table: pd.DataFrame) -> str:
    """The path of a table written as the plot stage writes it."""
    path = folder / name
    path.write_text(table.to_csv(index=False))
    return str(path)


def test_tables_of_several_runs_are_merged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Cells split over two files give the same document as one file, and as the table in memory."""
    parts = [save(tmp_path, "a.csv", world(RATES[:3])), save(tmp_path, "b.csv", world(RATES[3:]))]
    assert main([*parts, "--out", str(tmp_path / "claims.json")]) == 0
    assert json.loads((tmp_path / "claims.json").read_text()) == claims_document(world())
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "  1  holds       LDMiss samples have a better FID and IS than DDPM's at every rate"
    assert len(lines) == 2 * 17


def test_variants_and_markdown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--tuned` and `--robust` give the tables of second runs; both tables are printed in Markdown."""
    table = save(tmp_path, "table.csv", world())
    tuned = save(tmp_path, "tuned.csv", world(learning_rates="tuned"))
    robust = save(tmp_path, "robust.csv", world(encoder_input="robust"))
    assert main([table, "--tuned", tuned, "--robust", robust, "--markdown"]) == 0
    rows = {line.split(" | ")[0]: line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")}
    assert "**holds**" in rows["| Q2"]
    assert "**fails**: mse against ldmiss-guidance at 0: no clear difference" in rows["| Q3"]
    assert "0.0986" in rows["| EMFlow"]


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line with which the command refuses."""
    assert main(list(arguments)) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("error: claims: ")
    assert output.err.count("\n") == 1
    return output.err


def test_bad_tables_are_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 1 and a line that names the file or the row; nothing is written."""
    table = save(tmp_path, "table.csv", world((0.0, 0.5)))
    low = save(tmp_path, "low.csv", world((0.5, 0.8)))
    other = save(tmp_path, "other.csv", world((0.8,), sha256="def"))
    data = save(tmp_path, "data.csv", world((0.8,), dataset="mnist5k"))
    profile = save(tmp_path, "profile.csv", world((0.8,), profile="quick"))
    steps = save(tmp_path, "steps.csv", world((0.8,), params_sha256="d8"))
    loose = save(tmp_path, "loose.csv", world((0.8,), deterministic=False))
    text = save(tmp_path, "text.csv", changed(world().astype({"value": object}), "generation.ddpm.fid", 0.5, "many"))
    (tmp_path / "binary.csv").write_bytes(b"\x89PNG\r\n")
    (tmp_path / "empty.csv").write_text("")
    out = tmp_path / "claims.json"
    for arguments, message in (
        ([table, low], f"{low}: has missing_rate 0.5, seed 42, as {table} has"),
        ([table, table], f"{table}: named twice"),
        ([table, other], "classifier sha256 differs: abc at missing_rate 0, seed 42; def at missing_rate 0.8"),
        ([table, data], "classifier dataset differs"),
        ([table, profile], "run profile differs"),
        ([table, steps], "run params_sha256 differs: a5 at missing_rate 0, seed 42; d8 at missing_rate 0.8, seed 42"),
        ([table, loose], "run deterministic differs: True at missing_rate 0, seed 42; False at missing_rate 0.8"),
        ([text], f"{text}: the value of the row missing_rate 0.5, seed 42, task generation"),
        ([table, "--tuned", other], "the tuned table: its learning_rates is paper; it must be tuned"),
        ([table, "--robust", text], f"{text}: the value of the row"),
        ([str(tmp_path / "none.csv")], "none.csv: missing file; make it with `dvc repro`"),
        ([str(tmp_path / "binary.csv")], "binary.csv: "),
        ([str(tmp_path / "empty.csv")], "empty.csv: "),
    ):
        assert message in refused(capsys, *arguments, "--out", str(out))
    assert not out.exists()


def test_exit_status_of_the_process(tmp_path: Path) -> None:
    """As a user runs it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-m", "ldmiss_pipeline", "claims", save(tmp_path, "table.csv", world((0.5,)))]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.count("not tested")) == (0, 16), done.stderr
