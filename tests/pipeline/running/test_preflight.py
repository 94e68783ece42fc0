"""The disk: what a grid needs is neither underestimated nor grossly overestimated, and a full one is refused before."""

import dataclasses
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from support import tiny
from support.imports import ROOT

import ldmiss_pipeline.running.runner as runner
from ldmiss.errors import InputError
from ldmiss_pipeline.config import params
from ldmiss_pipeline.config.compose import composed
from ldmiss_pipeline.config.registry import METHODS, STAGES
from ldmiss_pipeline.datasets.registry import DATASETS
from ldmiss_pipeline.running import preflight
from ldmiss_pipeline.running.lockfile import dvc_hash, load_lock
from ldmiss_pipeline.running.pipeline import Pipeline, Work, files_in
from ldmiss_pipeline.running.preflight import UpToDate, check_space, grid_needs, refuse_full
from ldmiss_pipeline.running.sizes import BLOCK, Sizes

FACTOR = 1.5
"""How far above the real size the estimate of a whole grid may be."""


@pytest.fixture
def copy(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The finished tiny project, as the current folder, with its own numbers of images."""
    folder = tmp_path / "copy"
    shutil.copytree(project, folder, symlinks=True)
    monkeypatch.chdir(folder)
    small = dataclasses.replace(DATASETS["mnist5k"], num_train=48, num_test=24, num_bytes=20_000)
    monkeypatch.setitem(DATASETS, "mnist5k", small)
    return folder


def works(document: dict[str, Any]) -> list[Work]:
    """All items, in the order of the pipeline."""
    pipeline = Pipeline(document)
    return [pipeline.work(stage, item) for stage in STAGES for item in pipeline.items(stage, pipeline.cells())]


def on_disk(paths: list[Path]) -> int:
    """In whole blocks."""
    return sum(-(-file.stat().st_size // BLOCK) * BLOCK for file in files_in(paths))


def test_estimates_of_the_tiny_project(copy: Path) -> None:
    """No stage needs more than was said; the whole not much less. Untrained networks: the images are noise."""
    document = yaml.safe_load((copy / "params.yaml").read_text())
    sizes = Sizes(params.validate(document, "tiny"))
    estimated, real = {}, {}
    for work in works(document):
        need = sizes.need(work.stage, work.item)
        assert need is not None
        estimated[work.label], real[work.label] = need.outs, on_disk(work.outs)
    assert not {label: (estimated[label], real[label]) for label in real if estimated[label] < real[label]}
    assert sum(estimated.values()) < FACTOR * sum(real.values())


def test_estimates_of_the_recorded_run() -> None:
    """The same for the run that dvc.lock records: the quick profile."""
    document = yaml.safe_load((ROOT / "params.yaml").read_text())
    lock, sizes = load_lock(ROOT / "dvc.lock"), Sizes(params.validate(document, "params.yaml"))
    total = {"estimated": 0, "real": 0}
    for work in works(document):
        if (entry := lock.get(work.label)) is None:
            continue
        need, real = sizes.need(work.stage, work.item), sum(out["size"] for out in entry["outs"])
        assert need is not None
        assert need.outs >= real, work.label
        total["estimated"] += need.outs
        total["real"] += real
    assert total["real"] > 1e7, "dvc.lock records too little to compare with"
    assert total["estimated"] < FACTOR * total["real"]


def test_checkpoints_stay_below_the_estimate(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The most that ever lies in ckpt/, temporary files included, of every stage that has checkpoints."""
    monkeypatch.setenv("LDMISS_CHECKPOINT_SECONDS", "0")
    document = yaml.safe_load((copy / "params.yaml").read_text())
    sizes = Sizes(params.validate(document, "tiny"))
    largest = 0
    original = Path.replace

    def replace(self: Path, target: Any) -> Any:  # a temporary file is complete, the one that it replaces still there
        nonlocal largest
        largest = max(largest, sum(path.stat().st_size for path in (copy / "ckpt").rglob("*") if path.is_file()))
        return original(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    for stage, item in tiny.ITEMS:
        if stage in ("evaluate", "plot"):
            continue
        largest = 0
        runner.run_stage(stage, item)
        need = sizes.need(stage, item)
        assert need is not None
        overhead = 200_000  # headers, which a checkpoint of these small networks mostly consists of
        assert largest <= need.checkpoint + overhead, f"{stage}@{item.name}"
        assert need.checkpoint == 0 or largest > need.checkpoint / 5, f"{stage}@{item.name}"


def test_every_stage_and_method_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the tables, in a fresh clone: results, their copies in the cache, the largest checkpoint once."""
    (tmp_path / ".dvc").mkdir()
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    document = yaml.safe_load(composed(["profile=paper", "grid=paper"]))
    needs = grid_needs(params.validate(document, "paper"), document)
    assert list(needs.rows) == STAGES
    assert not needs.unknown
    assert needs.rows["impute"].items == 6 * 3 * len(METHODS)
    assert 5e9 < sum(row.cache for row in needs.rows.values()) < 1e10  # 18 cells of about 400 MB
    assert 5e8 < needs.temporary < 1.2e9  # DiffPuter's 60,000 rows, three times, and its network
    assert sum(needs.folders.values()) == needs.temporary + 2 * sum(row.cache for row in needs.rows.values())


def test_what_is_up_to_date_is_not_counted(copy: Path) -> None:
    """By params, code, outs, and what comes before."""
    document = yaml.safe_load((copy / "params.yaml").read_text())
    code = {dep for work in works(document) for dep in work.deps if dep.suffix == ".py"}
    lock = {
        work.label: {
            "params": {"params.yaml": work.params},
            "deps": [{"path": str(dep), "md5": dvc_hash(dep)} for dep in work.deps if dep in code],
        }
        for work in works(document)
    }

    def outdated(document: dict[str, Any], lock: dict[str, Any]) -> set[str]:
        current = UpToDate(lock)
        return {work.label.partition("@0.5-42")[0] + work.label.partition("@0.5-42")[2]
                for work in works(document) if not current.check(work)}  # fmt: skip

    assert not outdated(document, lock)
    assert outdated(document, {}) == {work.label.replace("@0.5-42", "") for work in works(document)}
    assert outdated(tiny.merged(document, {"plot": {"num_columns": 2}}), lock) == {"plot"}
    assert outdated(tiny.merged(document, {"ddpm": {"train": {"lr": 0.5}}}), lock) == {
        "train_ddpm", "sample-ddpm", "impute-ddpm", "evaluate", "plot"
    }  # fmt: skip
    other_code = tiny.merged(lock, {})
    for dep in other_code["train_baselines@0.5-42"]["deps"]:
        dep["md5"] = "0"
    assert outdated(document, other_code) == {"train_baselines", "impute-baselines", "evaluate", "plot"}
    (copy / "data/samples/0.5-42/ldmiss.npz").unlink()
    assert outdated(document, lock) == {"sample-ldmiss", "evaluate", "plot"}


def fake_disk(monkeypatch: pytest.MonkeyPatch, free: float) -> None:
    """So many bytes are free, wherever one looks."""
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=int(free)))


def test_a_full_disk_is_refused_before_anything_runs(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The folder, what is needed and what is free; `python -m ldmiss_pipeline.running.preflight` and every stage."""
    assert preflight.main() == 0
    table = capsys.readouterr().out
    assert all(stage in table for stage in STAGES)
    assert f"{copy}: " in table
    before = tiny.fingerprints(copy, "data", "models")
    fake_disk(monkeypatch, 1e5)
    assert preflight.main() == 1
    assert capsys.readouterr().err.startswith(f"error: preflight: {copy}: ")
    assert runner.main(["train_vae", "--missing-rate", "0.5", "--seed", "42"]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: train_vae@0.5-42: {copy}: 1.")
    assert "MB are needed at most, 0.1 MB are free; free some" in error
    assert tiny.fingerprints(copy, "data", "models") == before
    monkeypatch.setenv(preflight.CHECK_VARIABLE, "off")
    assert preflight.main() == 0
    assert runner.main(["train_vae", "--missing-rate", "0.5", "--seed", "42"]) == 0


def test_what_counts_for_one_item(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results that are there need no room of their own; under DVC their copy does, where the cache is."""
    document = yaml.safe_load((copy / "params.yaml").read_text())
    validated = params.validate(document, "tiny")
    work = next(work for work in works(document) if work.stage == "train_baselines")
    need = Sizes(validated).need(work.stage, work.item)
    assert need is not None
    fake_disk(monkeypatch, need.largest + 100_000)
    check_space(work, validated, cached=False)  # the model is there, and will be replaced
    (copy / ".dvc").mkdir()
    with pytest.raises(InputError, match="are needed at most"):
        check_space(work, validated, cached=True)
    work.outs[0].unlink()
    with pytest.raises(InputError, match="are needed at most"):
        check_space(work, validated, cached=False)


def test_disks_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders on one disk share its room; one that is not there yet is on its parent's."""
    fake_disk(monkeypatch, 100)
    with pytest.raises(InputError, match="are needed at most"):
        refuse_full({tmp_path: 60, tmp_path / "not/yet": 60})
    assert len(refuse_full({tmp_path: 60, Path("/proc"): 60})) >= 2
    monkeypatch.chdir(tmp_path)
    assert preflight.cache_folder() is None
    (tmp_path / ".dvc").mkdir()
    assert preflight.cache_folder() == Path(".dvc/cache")
    (tmp_path / ".dvc/config").write_text("[core]\n    analytics = false\n[cache]\n    dir = a\n")
    (tmp_path / ".dvc/config.local").write_text("[cache]\n    dir = /scratch/cache\n")
    assert preflight.cache_folder() == Path("/scratch/cache")


def test_expected_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only of what was measured: the paper's sizes."""
    paper, quick = (params.validate(yaml.safe_load(composed([f"profile={name}"])), name) for name in ("paper", "quick"))
    monkeypatch.chdir(tmp_path)
    assert preflight.expected_memory(paper) == []  # no measurements here
    monkeypatch.setattr(preflight, "MEASURED", ROOT / preflight.MEASURED)
    assert preflight.expected_memory(quick) == []
    lines = preflight.expected_memory(paper)
    rows = json.loads((ROOT / "benchmarks/results/memory.json").read_text())["rows"]
    measured = dict.fromkeys(row["dtype"] for row in rows)
    assert [line.split(",")[0] for line in lines] == [f"memory on a CPU in {dtype}" for dtype in measured]
