"""A stage whose input is damaged says so in one line and leaves with status 1, or makes what it made before."""

import shutil
from pathlib import Path

import pytest
from hypothesis import strategies as st
from support import tiny
from support.cases import for_all, num_cases
from support.corruption import CHANGES, Change, Damaged, corrupted
from support.recorded import lock_of, write_lock

from ldmiss_pipeline.artifacts.paths import CURVES, Item
from ldmiss_pipeline.config import params
from ldmiss_pipeline.running import runner
from ldmiss_pipeline.running.pipeline import Pipeline, StageItem, files_in


@pytest.fixture(scope="module")
def damaged_project(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the finished project."""
    folder = tmp_path_factory.mktemp("damaged") / "project"
    shutil.copytree(project, folder, symlinks=True)
    return folder


@pytest.fixture
def stage_items(damaged_project: Path, monkeypatch: pytest.MonkeyPatch) -> list[StageItem]:
    """Every item of every stage that reads data, in that project as the current directory."""
    monkeypatch.chdir(damaged_project)
    pipeline = Pipeline(params.load()[1])
    stage_items = [pipeline.stage_item(stage, item) for stage, item in tiny.ITEMS]
    return [stage_item for stage_item in stage_items if data_of(stage_item)]


def arguments(stage: str, item: Item) -> list[str]:
    """What the command line of `dvc.yaml` says."""
    cell = ["--missing-rate", str(item.missing_rate), "--seed", str(item.seed)] if item.missing_rate is not None else []
    return [stage, *cell, *(["--method", item.method] if item.method else [])]


def data_of(stage_item: StageItem) -> list[Path]:
    """The files of data that an item reads."""
    return sorted(path for path in files_in(stage_item.deps) if path.suffix != ".py")


@pytest.mark.parametrize("under_dvc", [False, True], ids=["without DVC", "under DVC"])
@num_cases(fast=4, slow=60)
def test_one_line_and_status_1_or_the_same_outs(
    num_cases: int,
    under_dvc: bool,
    stage_items: list[StageItem],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Under DVC every change of a byte is found; without it, every change of a value that has a checksum (no CSV)."""
    if under_dvc:
        write_lock(lock_of([("download", Item()), *tiny.ITEMS]))
        monkeypatch.setenv("DVC_STAGE", "any")
    statuses = []

    def check(place: tuple[int, int], changes: list[Change]) -> None:
        stage_item = stage_items[place[0] % len(stage_items)]
        files = [path for path in data_of(stage_item) if under_dvc or path.parent != CURVES]
        path = files[place[1] % len(files)]
        before = {out: out.read_bytes() for out in files_in(stage_item.outs)}
        content = corrupted(path.read_bytes(), changes)
        same = content == path.read_bytes()
        capsys.readouterr()
        with Damaged(path, content):
            status = runner.main(arguments(stage_item.stage, stage_item.item))
        said = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("warning: ")]
        if status == 0:
            assert not said
            assert same or not under_dvc, f"{path} was changed, and {stage_item.label} ran"
        else:
            assert (status, len(said)) == (1, 1), said
            assert said[0].startswith(f"error: {stage_item.label}: ")
            named = path.parent if under_dvc else path.with_suffix("")  # DVC knows folders; a classifier has two files
            assert str(named) in said[0]
            assert said[0].isprintable()
        assert {out: out.read_bytes() for out in files_in(stage_item.outs)} == before
        shutil.rmtree("ckpt", ignore_errors=True)
        statuses.append(status)

    for_all(num_cases, check, place=st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), changes=CHANGES)
    Path("dvc.lock").unlink(missing_ok=True)
    assert 1 in statuses
