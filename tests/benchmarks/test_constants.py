"""The choice of constants: on held-out training images alone, by the stated rule, and listed as it stands."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import tiny
from support.imports import ROOT

from benchmarks import constant_studies, constants
from benchmarks.constants import choose, table
from benchmarks.held_out import NUM_HELD_OUT, Split, per_image
from benchmarks.setting import profile_params
from ldmiss.autoencoding import objective as autoencoder_objective
from ldmiss.autoencoding.encoder_input import remask
from ldmiss.errors import InputError
from ldmiss_pipeline.artifacts.json_files import load_json, save_json
from ldmiss_pipeline.datasets import registry as datasets


@pytest.fixture
def splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Tiny digits instead of MNIST, results in a temporary folder; the list of the splits that were read."""
    read: list[str] = []

    def load_split(name: str, folder: Path, split: str) -> datasets.Split:
        read.append(split)
        if split == "test":
            raise AssertionError("the test split was read")
        assert name == "mnist"
        digits = tiny.digits()["train"]
        return datasets.Split(digits["images"][:, None], digits["labels"])

    monkeypatch.setattr(datasets, "load_split", load_split)
    monkeypatch.setattr(constants, "RESULTS", tmp_path / "constants.json")
    monkeypatch.setattr(constants, "TABLE", tmp_path / "constants.md")
    return read


def run(*arguments: str) -> dict[str, list[dict[str, Any]]]:
    """The rows of each study, at a five-hundredth of the sizes."""
    assert constants.main(list(arguments), scale=500, num_held_out=10) == 0
    return {name: study["rows"] for name, study in load_json(constants.RESULTS)["studies"].items()}


def test_the_last_training_images_are_held_out(splits: list[str], tmp_path: Path) -> None:
    """Fit on the first, score on the last: no image on both sides; the test split is never read."""
    digits = tiny.digits()["train"]["images"]
    split = Split.load(tmp_path, 10)
    np.testing.assert_array_equal(np.concatenate([split.fit, split.held_out]), digits)
    assert len(split.held_out) == 10
    images, observed = split.incomplete(1000, 0.5)
    assert len(images) == 38
    assert not images[~observed].any()
    truth, shown = split.to_score(4)
    np.testing.assert_array_equal(truth, (digits[38:42] / 255).astype(np.float32))
    assert 0.4 < shown.mean() < 0.6
    assert splits == ["train"]
    assert NUM_HELD_OUT == 5000
    for number in (0, 48, 60):
        with pytest.raises(InputError, match=f"held-out images: {number} of 48"):
            Split.load(tmp_path, number)


def test_benchmarks_measure_the_library_of_this_clone(tmp_path: Path) -> None:
    """Another clone's library that is installed or on the path is not what they import."""
    (tmp_path / "ldmiss").mkdir()
    (tmp_path / "ldmiss/__init__.py").touch()
    command = [sys.executable, "-c", "import benchmarks, ldmiss; print(ldmiss.__file__)"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    found = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
    assert Path(found.strip()) == ROOT / "src/ldmiss/__init__.py"


def test_a_study_without_the_test_split(splits: list[str]) -> None:
    """Ridge, whole: every candidate at every rate, nothing but "train" is read, and what is known of others stays."""
    kept = {"machine": "m", "dtype": "d", "torch": "t", "seed": 0, "seconds": 1.0,
            "rows": [{**row, "seconds": 1.0} for row in _rows("diffputer.std_floor", **{"0.1": [0.1]})]}  # fmt: skip
    save_json(constants.RESULTS, {"studies": {"diffputer": kept, "ridge": {**kept, "rows": []}}})
    rows = run("--only", "ridge")
    assert [(row["candidate"], row["rate"]) for row in rows["ridge"]] == [
        (candidate, rate) for rate in (0.0, 0.5, 0.8) for candidate in ("0.001", "0.003", "0.01")
    ]
    assert rows["diffputer"] == kept["rows"]
    assert splits == ["train"]


def test_a_floor_of_zero_does_not_train(splits: list[str]) -> None:
    """DiffPuter's study: every floor gives another score, none at all gives no model, and the table says so."""
    rows = run("--only", "diffputer")["diffputer"]
    scores = {(row["constant"], row["candidate"]): row["score"] for row in rows}
    assert scores.pop(("diffputer.std_floor", "none")) is None
    assert all(0 < score < 1 for score in scores.values())
    assert len({scores["diffputer.std_floor", floor] for floor in ("0.01", "0.05", "0.1")}) == 3
    assert scores["diffputer.normalize", "per_feature"] == scores["diffputer.std_floor", "0.05"]
    assert "none: does not train" in constants.TABLE.read_text()
    assert splits == ["train"]


def test_the_encoder_study_varies_the_share_and_puts_it_back(
    splits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each share trains another encoder; afterwards the objective hides pixels as before."""
    monkeypatch.setattr(constant_studies, "RATES", (0.0,))
    shares: list[float] = []

    def watched(*arguments: Any, min_share: float) -> Any:
        shares.append(min_share)
        return remask(*arguments, min_share=min_share)

    monkeypatch.setattr(constant_studies, "remask", watched)
    rows = run("--only", "encoder")["encoder"]
    assert [row["candidate"] for row in rows] == ["0.05", "0.1", "0.2", "faithful input"]
    assert len({row["score"] for row in rows}) == 4
    assert sorted(set(shares)) == [0.05, 0.1, 0.2]
    assert autoencoder_objective.remask is remask


@pytest.mark.slow
def test_every_study_runs(splits: list[str]) -> None:
    """All of them at tiny sizes; none reads the test split."""
    rows = run()
    assert set(rows) == set(constant_studies.STUDIES)
    assert splits == ["train"]


def test_missing_data_and_results_are_one_line(
    splits: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No raw files, no results yet: exit 1 and a line that says what to do; an unknown study names the choices."""
    assert constants.main(["--only"]) == 1
    assert "no study was run yet" in capsys.readouterr().err
    monkeypatch.undo()
    assert constants.main(["--only", "ridge", "--raw", str(tmp_path)]) == 1
    assert "missing file; make it with `dvc repro download`" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        constants.main(["--only", "rigde"])
    assert "invalid choice: 'rigde'" in capsys.readouterr().err


def _rows(constant: str, **scores: list[float | None]) -> list[dict[str, Any]]:
    return [
        {"constant": constant, "candidate": name.replace("_", " "), "score": score, "rate": rate, "measure": "x"}
        for name, values in scores.items()
        for rate, score in zip((0.0, 0.5), values, strict=False)
    ]


def test_the_rule_of_choice() -> None:
    """Lowest mean over rates; for steps the cheapest within 5 %; the paper's value within 5 %; references never."""
    assert choose(_rows("baselines.train.ridge", a=[0.1, 0.5], b=[0.2, 0.3], faithful_input=[0.0, 0.0])) == "b"
    assert choose(_rows("diffputer.std_floor", a=[0.1], none=[None])) == "a"
    steps = {"20": [1.06], "50": [1.04], "100": [1.0]}
    assert choose(_rows("ldmiss.impute.guidance.num_steps", **steps)) == "50"
    assert choose(_rows("diffputer.std_floor", **steps)) == "100"
    assert choose(_rows("ldmiss.impute.guidance.weight", **{"0.5": [1.0], "1.0": [1.04]})) == "1.0"
    assert choose(_rows("ldmiss.impute.guidance.weight", **{"0.5": [1.0], "1.0": [1.06]})) == "0.5"


def test_a_value_in_use_that_is_not_the_chosen_one_is_marked() -> None:
    """By how much it exceeds the lowest, or that it was no candidate."""
    profile = profile_params("profile=lite")
    rows = [{**row, "seconds": 1.0} for row in _rows("diffputer.std_floor", **{"0.01": [0.1], "0.05": [0.11]})]
    made = {"machine": "m", "dtype": "d", "torch": "t", "seed": 0, "seconds": 1.0}
    assert table({"studies": {"diffputer": {**made, "rows": rows}}}, profile).endswith("| 0.01 | 0.05 (+10.0%) |\n")
    assert table({"studies": {"diffputer": {**made, "rows": rows[:1]}}}, profile).endswith("(not a candidate) |\n")


def test_errors_are_of_missing_pixels_per_image() -> None:
    """One error per image, observed pixels aside."""
    truth = np.zeros((2, 1, 2), dtype=np.float32)
    x_hat = np.array([[[0.5, 9]], [[1, 2]]], dtype=np.float32)
    np.testing.assert_allclose(per_image(x_hat, truth, np.array([[[False, True]], [[False, False]]])), [0.25, 2.5])


def test_the_list_in_docs_is_of_the_recorded_studies_and_todays_values() -> None:
    """`docs/constants.md` follows from results and profile; `python -m benchmarks.constants --only` writes it again."""
    record = load_json(constants.RESULTS)
    assert set(record["studies"]) == set(constant_studies.STUDIES)
    profile = profile_params("profile=lite")
    assert constants.TABLE.read_text() == table(record, profile)
