"""The report of the last run."""

import json
from pathlib import Path

import pytest
from support.claims_world import world

from ldmiss_pipeline.artifacts.json_files import save_checked_json
from ldmiss_pipeline.paper.report import main, report
from ldmiss_pipeline.paper.verdicts import claims_document


def test_report_of_own_images() -> None:
    """No table of generation, no line of a classifier; small errors keep their digits."""
    run = {
        "profile": "quick", "dataset": "own", "mechanism": "mcar", "missing_rates": "0.0", "seeds": "42",
        "num_generated": 500, "num_imputed": 200, "units": "data",
    }  # fmt: skip
    text = report({"run": run, "generation": {}, "imputation": {"mean": {"rmse": 0.0000123}}, "classifier": {}})
    assert "generation" not in text
    assert "classifier" not in text
    assert "imputation (means over the cells of the grid; errors of held-out pixels, in the units of the data)" in text
    assert "1.23e-05" in text


def test_report_prints_the_verdicts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After the metrics; without the file it says which is missing."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "metrics").mkdir()
    run = {
        "profile": "quick", "dataset": "mnist5k", "mechanism": "mcar", "missing_rates": "0.5", "seeds": "42",
        "num_generated": 500, "num_imputed": 400,
    }  # fmt: skip
    summary = {
        "run": run,
        "generation": {"ldmiss": {"fid": 1.0}},
        "imputation": {"mean": {"mse": 0.1}},
        "classifier": {},
    }
    (tmp_path / "metrics/summary.json").write_text(json.dumps(summary))
    (tmp_path / "models").mkdir()
    save_checked_json(tmp_path / "models/classifier.json", {"source": "trained", "sha256": 64 * "a"})
    assert main([]) == 1
    assert "metrics/claims.json: missing file" in capsys.readouterr().err
    (tmp_path / "metrics/claims.json").write_text(json.dumps(claims_document(world())))
    assert main([]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(
        "profile quick, mnist5k, mcar, missing rates 0.5, seeds 42; 500 images generated, 400 completed\n"
    )
    assert " 14  holds       LDMiss beats the pixel DDPM on imputation at all rates" in printed
    assert "classifier aaaaaaaaaaaa is this run's own: its FIDs compare with no other run's" in printed
    for metadata, line in (
        ({"source": "committed", "sha256": 64 * "a"}, "classifier aaaaaaaaaaaa is the committed one: FIDs compare"),
        ({"source": "none"}, "no classifier, for the images have no labels: there is no FID, IS or accuracy"),
    ):
        save_checked_json(tmp_path / "models/classifier.json", metadata)
        assert main([]) == 0
        assert line in capsys.readouterr().out
