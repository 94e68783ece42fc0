"""The test bed of `make test-cluster`: that it finds what is wrong; the schedulers themselves are too slow for here."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.utils.serialize import dump_yaml, load_yaml

from cluster import slurm, table
from cluster.beds import LocalBed
from cluster.faults import FAULTS, FIRST, HELD, Fault, Outcome, try_fault
from cluster.processes import NotHere
from cluster.projects import TOY_GRID, Home, Project
from ldmiss_pipeline.grid.entries import merge, recorded


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A toy project with its plain run."""
    project = Project(tmp_path_factory.mktemp("cluster") / "toy", TOY_GRID, toy=True)
    project.run_plain()
    return project


def copied(project: Project) -> Home:
    """A home that has what the plain run made."""
    home = project.home()
    shutil.copytree(project.plain, home.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".git"))
    return home


def test_a_result_that_differs_is_found(toy: Project) -> None:
    """Other entries in dvc.lock, one that is missing, and other bytes under the same entries."""
    assert copied(toy).difference() is None

    other = copied(toy)
    lock = other.folder / "dvc.lock"
    lock.write_text(lock.read_text().replace("md5: ", "md5: 0", 1))
    assert "dvc.lock other than the plain run's" in str(other.difference())

    missing = copied(toy)
    document = yaml.safe_load((missing.folder / "dvc.lock").read_text())
    del document["stages"][f"mask@{FIRST}"]
    (missing.folder / "dvc.lock").write_text(yaml.safe_dump(document))
    assert f"mask@{FIRST}" in str(missing.difference())

    changed = copied(toy)
    path = changed.folder / f"metrics/cells/{FIRST}.json"
    path.chmod(0o600)
    path.write_text("{}")
    assert str(path.relative_to(changed.folder)) in str(changed.difference())


def test_what_is_done_twice_is_counted(toy: Project) -> None:
    """A stage that began three times and ended twice: two begun again, one of them lost. No grid was run: wrong."""

    def write_log(bed: LocalBed, home: Home) -> None:
        lines = [{"label": f"{HELD}@{FIRST}", "what": what} for what in ("begins", "begins", "ends", "begins", "ends")]
        (home.control / "log.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    outcome = try_fault(Fault("none", "nothing", write_log), LocalBed(), toy)
    assert (outcome.again, outcome.lost) == (2, 1)
    assert outcome.wrong is not None
    assert "no grid has been run here" in outcome.wrong


def test_the_table_counts_tries() -> None:
    """By row and in sum."""
    rows = {
        ("one", "slurm"): [Outcome(1, 0, None, 1.0), Outcome(2, 1, "other bytes", 1.0)],
        ("one", "ray"): [Outcome(0, 0, None, 1.0)],
    }
    lines = table.of_faults(rows).splitlines()
    assert lines[2:] == [
        "| one | slurm | 2 | 3 | 1 | 1 |",
        "| one | ray | 1 | 0 | 0 | 0 |",
        "| all | | 3 | 3 | 1 | 1 |",
    ]


def test_faults_are_named_once() -> None:
    """For `--fault`, and for the table."""
    assert len({fault.name for fault in FAULTS}) == len({fault.words for fault in FAULTS}) == len(FAULTS)


def test_a_scheduler_that_cannot_be_had_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never a skip: without root, and without Slurm and apt."""
    monkeypatch.setattr(slurm.os, "geteuid", lambda: 1000)
    with pytest.raises(NotHere, match="takes root"):
        slurm.install()
    monkeypatch.setattr(slurm.os, "geteuid", lambda: 0)
    monkeypatch.setattr(slurm.shutil, "which", lambda name: None)
    with pytest.raises(NotHere, match="no munged"):
        slurm.install()


def test_what_was_recorded_is_put_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was there stays where no worker recorded it anew; `1e-06` stays the number that it is for DVC."""
    monkeypatch.chdir(tmp_path)

    def entry(weight: float) -> dict[str, Any]:
        return {"cmd": "x", "params": {"params.yaml": {"vae.kl_weight": weight}}, "outs": [{"path": f"{weight}"}]}

    dump_yaml("dvc.lock", {"schema": "2.0", "stages": {"a": entry(1e-6), "b": entry(1e-6)}})
    assert "vae.kl_weight: 1e-06" in Path("dvc.lock").read_text()
    assert recorded(["b"]) == {"b": entry(1e-6)}
    Path("one.json").write_text(json.dumps({"b": entry(2e-6)}))
    Path("two.json").write_text(json.dumps({"c": entry(3e-6)}))
    assert merge([Path("one.json"), Path("two.json")]) == [Path("2e-06"), Path("3e-06")]
    expected = {"a": entry(1e-6), "b": entry(2e-6), "c": entry(3e-6)}
    assert load_yaml("dvc.lock") == {"schema": "2.0", "stages": expected}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dvc.lock", "one.json", "two.json"]
