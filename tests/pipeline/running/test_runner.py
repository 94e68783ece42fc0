"""The runner and what defines a stage's work."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import tiny

import ldmiss_pipeline.running.runner as runner
from ldmiss.errors import InputError
from ldmiss_pipeline.artifacts.paths import Item
from ldmiss_pipeline.config import params, schema
from ldmiss_pipeline.config.registry import TRAINED_BY_TRAIN
from ldmiss_pipeline.running.pipeline import Pipeline


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tiny.make_project(tmp_path / "project", tiny.digits())
    monkeypatch.chdir(folder)
    return folder


def test_a_record_is_appended(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line per run: what was made, seconds, memory; versions and device go to runs/, which is no out."""
    for _ in range(2):
        assert runner.main(["train_classifier"]) == 0
    assert capsys.readouterr().out.count("train_classifier: accuracy ") == 2
    records = [json.loads(line) for line in (project / "runs/records.jsonl").read_text().splitlines()]
    assert len(records) == 2
    assert (records[0]["device"], records[0]["dtype"], records[0]["num_threads"]) == ("cpu", "float32", 1)
    assert records[0]["deterministic"] is True
    assert re.fullmatch(r".+, \S+", records[0]["cpu"])  # model, instructions
    assert records[0]["versions"]["torch"]
    assert min(records[0]["seconds"], records[0]["peak_memory_mb"]) > 0
    assert records[0]["restored"] == []
    assert records[0]["checkpoint_seconds"] >= 0


def test_a_full_disk_is_one_line(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No space left: exit 1, the file is named, the earlier output intact."""
    runner.main(["mask_test"])
    assert runner.main(["mask", "--missing-rate", "0.5", "--seed", "42"]) == 0
    before = tiny.fingerprints(project, "data")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert runner.main(["mask", "--missing-rate", "0.5", "--seed", "42"]) == 1
    error = capsys.readouterr().err
    assert error == "error: mask@0.5-42: data/observed/0.5-42.npz: no space left; free some and run again\n"
    assert tiny.fingerprints(project, "data") == before


def test_a_bug_is_not_swallowed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only bad input is turned into one line; anything else keeps its traceback."""
    monkeypatch.setattr("stages.mask_test.run", lambda context: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        runner.main(["mask_test"])


class Recorder:
    """Stands for a section of the params and notes which keys are read."""

    def __init__(self, section: Any, path: str, seen: set[str]) -> None:
        self._section, self._path, self._seen = section, path, seen

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._section, name)
        path = f"{self._path}.{name}".lstrip(".")
        if isinstance(value, schema.Section):
            return Recorder(value, path, self._seen)
        if name == "model_dump":
            self._seen.add(self._path)
        else:
            self._seen.add(path)
        return value


def test_stages_read_only_the_params_they_declare(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a stage reads but does not declare would give stale results; found by watching every read."""
    original = params.load
    seen: set[str] = set()

    def recorded() -> tuple[Any, dict[str, Any]]:
        validated, document = original()
        return Recorder(validated, "", seen), document

    monkeypatch.setattr(runner.params_module, "load", recorded)
    for stage, item in tiny.ITEMS:
        seen.clear()
        runner.run_stage(stage, item)
        declared = Pipeline(yaml.safe_load(Path("params.yaml").read_text())).stage_item(stage, item).params
        undeclared = {key for key in seen if not any(f"{key}.".startswith(f"{name}.") for name in declared)}
        assert not undeclared, f"{stage}@{item.name}"
        # One stage serves all methods: these have no draws, and no settings to impute.
        allowed = {"impute.num_draws", f"{item.method}.impute"} if item.method in ("vae", "baselines") else set()
        if item.method in ("regression", "posterior"):
            allowed = {f"{item.method}.impute"}
        if stage == "check":  # the runner checks them
            allowed |= set(declared)
        if stage == "evaluate":  # it takes the hash of all sections that are declared
            allowed |= {name for name, value in declared.items() if isinstance(value, dict)}
        unread = {name for name in declared if not any(f"{key}.".startswith(f"{name}.") for key in seen)}
        assert unread <= allowed, f"{stage}@{item.name} declares, but does not read"


TRAINED = ", ".join(TRAINED_BY_TRAIN)


@pytest.mark.parametrize(
    ("stage", "item", "takes"),
    [
        (
            "train",
            Item(0.5, 42, "ddpm"),
            f"--missing-rate and --seed, and --method of {TRAINED}",
        ),
        (
            "train",
            Item(0.5, 42),
            f"--missing-rate and --seed, and --method of {TRAINED}",
        ),
        ("sample", Item(0.5, 42, "vae"), "--method of ldmiss, ddpm, diffputer"),
        ("mask", Item(), "--missing-rate and --seed, got none"),
        ("mask", Item(0.5, 42, "ddpm"), "--missing-rate and --seed, got 0.5-42-ddpm"),
        ("plot", tiny.CELL, "no cell, got 0.5-42"),
        ("mask_test", tiny.CELL, "no cell, got 0.5-42"),
    ],
)
def test_an_item_that_a_stage_does_not_have_is_refused(
    stage: str, item: Item, takes: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one line that says what it takes."""
    monkeypatch.chdir(project)
    with pytest.raises(InputError, match=re.escape(takes)):
        runner.run_stage(stage, item)


def test_unknown_stage_and_method_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """argparse names the choices."""
    for arguments in (["train_gan"], ["sample", "--method", "gan"]):
        with pytest.raises(SystemExit) as caught:
            runner.main(arguments)
        assert caught.value.code == 2
    assert "invalid choice: 'gan'" in capsys.readouterr().err


@pytest.mark.parametrize("rate", ["nan", "1", "-0.1", "inf", "half"])
def test_an_impossible_rate_is_refused(rate: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        runner.main(["mask", f"--missing-rate={rate}", "--seed", "42"])
    assert f"argument --missing-rate: {rate!r} is no number in [0, 1)" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "stages: 3\n", "plots: []\n", None])
def test_a_pipeline_without_stages_is_one_line(
    project: Path, text: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path("dvc.yaml")
    path.unlink()
    if text is not None:
        path.write_text(text)
    assert runner.main(["mask", "--missing-rate", "0.5", "--seed", "42"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: mask@0.5-42: dvc.yaml: ")
    assert error.count("\n") == 1
