"""The grid's parts without DVC: events, states, tries, the remote's settings, and every bad input before any job."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import tiny
from support.grid_world import CELLS, FakeEngine, World

from ldmiss.errors import InputError
from ldmiss_pipeline.config import params
from ldmiss_pipeline.grid import __main__ as command
from ldmiss_pipeline.grid import coordinator
from ldmiss_pipeline.grid.cells import Cells
from ldmiss_pipeline.grid.engines import registry as engines
from ldmiss_pipeline.grid.engines.interface import Resources
from ldmiss_pipeline.grid.engines.local import Local
from ldmiss_pipeline.grid.events import WORKER, add_event, read_events
from ldmiss_pipeline.grid.plan import Plan, makespan
from ldmiss_pipeline.grid.remote import load_remote, redacted, remote_config, save_remote, secrets
from ldmiss_pipeline.grid.state import GRIDS, GridRun, run_name
from ldmiss_pipeline.grid.status import table
from ldmiss_pipeline.grid.worker import reason_of


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("grid") / "world")


@pytest.fixture
def project(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The same as the current directory, and after the test as it was committed."""
    monkeypatch.chdir(world.project)
    config = world.project / ".dvc/config.local"
    before = config.read_text()
    yield world
    config.write_text(before)
    shutil.rmtree(world.project / "runs", ignore_errors=True)
    world.git("reset", "--quiet", "--hard")
    world.git("clean", "--quiet", "-d", "--force")


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a refused `run` prints; no job was submitted."""
    assert command.main(["run", *arguments]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert not list(Path("runs").glob("grid/*/jobs/*"))
    return lines[0]


def test_a_line_that_a_kill_cut_is_left_out(tmp_path: Path) -> None:
    """And the next one begins on a line of its own."""
    path = tmp_path / "events"
    add_event(path, {"stage": "a"})
    with path.open("a") as file:
        file.write('{"stage": "b", "sta')
    add_event(path, {"stage": "c"})
    assert [event["stage"] for event in read_events(path)] == ["a", "c"]


def test_cells_and_what_they_share() -> None:
    """Every stage but the last is of a cell or shared; a cell that the grid lacks is refused with those it has."""
    cells = Cells(tiny.document(grid={"missing_rates": [0.5, 0.8], "seeds": [42, 43]}))
    assert cells.names == ["0.5-42", "0.5-43", "0.8-42", "0.8-43"]
    assert cells.shared() == ["download", "train_classifier", "mask_test"]
    labels = cells.labels("0.8-43")
    assert len(labels) == 26
    assert "impute@0.8-43-baselines" in labels
    assert set(cells.graph("0.8-43").before) == {*labels, *cells.shared(), "check", "plot"}
    assert params.validate(cells.only("0.8-43"), "params.yaml").grid.missing_rates == [0.8]
    with pytest.raises(InputError, match=r"--cells: 0\.3-42 is not in the grid .* 0\.5-42, 0\.5-43"):
        cells.chosen(["0.5-42", "0.3-42"])


def test_what_another_coordinator_submits_meanwhile_is_taken_over(project: World) -> None:
    """Between the checks, which take their time, and the lock."""
    _, document = params.load()
    run = GridRun("r", "c" * 40, "origin", "shelf", "local", {}, 1, CELLS[:1])
    command._take_over(run, document)
    other = GridRun("r", "c" * 40, "origin", "shelf", "local", {}, 1, list(CELLS))
    coordinator.submit(other, "0.5-42", FakeEngine(other))
    command._take_over(run, document)
    assert run.cells == CELLS
    assert run.tries == other.tries


def test_the_table_says_why_and_where(project: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row for each cell; the reason of what failed, and its log."""
    run = GridRun("r", "c" * 40, "origin", "shelf", "local", {}, 1, list(CELLS))
    (run.carried).mkdir(parents=True)
    (run.carried / "params.yaml").write_bytes(Path("params.yaml").read_bytes())
    run.begin_attempt("0.5-42")
    base = {"cell": "0.5-42", "attempt": 1, "host": "h"}
    for more in (
        {"stage": "mask@0.5-42", "status": "done"},
        {"stage": "train_vae@0.5-42", "status": "failed", "reason": "error: no"},
        {"stage": WORKER, "status": "failed", "reason": "train_vae@0.5-42 failed"},
    ):
        add_event(run.events("0.5-42"), base | more)
    lines = table(run, {"0.5-42": run.state("0.5-42", set()), "0.8-42": "waiting"}).splitlines()
    row = dict(zip(lines[1].split(), lines[2].split()[:1] + lines[2].split()[2:], strict=True))
    assert row == {"cell": "0.5-42", "mask": "done", "train_vae": "failed", "evaluate": "-"}
    assert lines[-1] == f"0.5-42: failed, try 1: error: no ({run.log('0.5-42', 1)})"
    assert lines[-2] == "1 failed, 1 waiting"


def test_the_reason_is_our_own_error_before_that_of_dvc() -> None:
    """DVC's last line only says that a command failed."""
    lines = ["step 1", "error: train_vae@0.5-42: bad", "ERROR: failed to reproduce", ""]
    assert reason_of(lines) == "error: train_vae@0.5-42: bad"
    assert reason_of(["a", "ERROR: b", ""]) == "ERROR: b"
    assert reason_of(["a", "Killed", ""]) == "Killed"


def test_secrets_travel_in_a_file_of_the_user_alone(project: World) -> None:
    """With all levels of the configuration merged; what is printed shows none of them."""
    project.dvc("remote", "add", "store", "s3://bucket/path")
    project.dvc("remote", "modify", "store", "endpointurl", "http://127.0.0.1:1")
    project.dvc("remote", "modify", "--local", "store", "secret_access_key", "hush-hush")
    name, settings = remote_config("store")
    save_remote(Path("remote"), name, settings)
    assert stat.S_IMODE(Path("remote").stat().st_mode) == 0o600
    assert load_remote(Path("remote")) == ("store", settings)
    assert settings == {
        "url": "s3://bucket/path", "endpointurl": "http://127.0.0.1:1", "secret_access_key": "hush-hush",
    }  # fmt: skip
    hidden = secrets(settings, {"AWS_SESSION_TOKEN": "token-of-now"})
    assert redacted("key hush-hush, token-of-now at s3://bucket/path", hidden) == "key ***, *** at s3://bucket/path"


def test_no_remote(project: World, capsys: pytest.CaptureFixture[str]) -> None:
    """None configured, one of another name, and one that cannot hold a run cache."""
    local = project.project / ".dvc/config.local"
    assert "no remote 'other'; there are: shelf" in error_of(capsys, "--remote", "other")
    local.write_text("[core]\n    remote = web\n['remote \"web\"']\n    url = https://example.invalid/x\n")
    assert "HTTP remote, which has no run cache" in error_of(capsys)
    local.unlink()
    assert "dvc remote add --default" in error_of(capsys)
    local.write_text("['remote \"half\"']\n    user = me\n")
    assert "expected 'url' for dictionary value" in error_of(capsys)


def test_a_dirty_tree(project: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that differs, and code that git does not know; but params, lock and summary may differ."""
    monkeypatch.setattr(command, "make_engine", refuse_here)
    (project.project / "dvc.lock").write_text("schema: '2.0'\n")
    project.set_params(tiny.document(grid={"missing_rates": [0.1], "seeds": [42]}))
    assert "all checks passed" in error_of(capsys)
    (project.project / "stages/mask.py").write_text("other = 1\n")
    assert "stages/mask.py: not as committed" in error_of(capsys)
    project.git("checkout", "--quiet", "stages/mask.py")
    (project.project / "src/ldmiss/new.py").write_text("new = 1\n")
    assert "src/ldmiss/new.py: not as committed" in error_of(capsys)


def refuse_here(run: GridRun) -> Any:
    """Stands where the engine is made: whoever comes here has passed what comes before."""
    raise InputError("all checks passed")


def test_a_commit_that_workers_cannot_clone(project: World, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Not pushed; an origin that is none; one with a password in its URL."""
    project.git("clone", "--quiet", "--bare", str(project.project), str(tmp_path / "origin"))
    project.git("commit", "--quiet", "--allow-empty", "--message", "not pushed")
    assert "`git push` it first" in error_of(capsys, "--origin", str(tmp_path / "origin"))
    project.git("reset", "--quiet", "--hard", "HEAD~1")
    assert "cannot be read" in error_of(capsys, "--origin", str(tmp_path / "nowhere"))
    line = error_of(capsys, "--origin", "https://me:hush-hush@example.invalid/x.git")
    assert "has a password in it" in line
    assert "hush-hush" not in line


def test_a_cell_outside_the_grid(project: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--cells: 0.3-42 is not in the grid" in error_of(capsys, "--cells", "0.3-42")


def test_an_engine_that_is_not_installed(
    project: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package of the engine, or its programs."""
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    line = error_of(capsys, "--engine", "ray", "--origin", str(project.project))
    assert "ray is not installed; install it: `uv pip install -e '.[ray]'`" in line
    monkeypatch.undo()
    monkeypatch.chdir(project.project)
    monkeypatch.setenv("PATH", git_only(project))
    assert "sbatch is not installed here" in error_of(capsys, "--engine", "slurm")


def git_only(project: World) -> str:
    """A folder to be PATH, with git and nothing else."""
    folder = project.control / "bin"
    folder.mkdir(exist_ok=True)
    if not (folder / "git").exists():
        (folder / "git").symlink_to(str(shutil.which("git")))
    return str(folder)


def test_a_scheduler_that_cannot_be_reached(
    project: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own words, and what to try."""
    folder = Path(git_only(project))
    for name in ("sbatch", "squeue", "scancel"):
        (folder / name).write_text("#!/bin/sh\necho Unable to contact slurm controller >&2\nexit 1\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    line = error_of(capsys, "--engine", "slurm")
    assert "the scheduler does not answer (Unable to contact slurm controller); try `sinfo`" in line
    for name in ("sbatch", "squeue", "scancel"):
        (folder / name).unlink()


def test_params_that_change_while_a_grid_runs(
    project: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other grid's cells are named; when they have ended there is nothing to refuse."""
    other = GridRun("other", "c" * 40, "o", "shelf", "local", vars(Resources()), 1, ["0.5-42"])
    other.carried.mkdir(parents=True)
    (other.carried / "params.yaml").write_text("")
    engine = FakeEngine(other, **{"0_5x42": ["gone"]})
    coordinator.submit(other, "0.5-42", engine)
    monkeypatch.setattr(engines, "make_engine", lambda run: engine)
    monkeypatch.setattr(command, "make_engine", refuse_here)
    line = error_of(capsys)
    assert "params or commit changed while grid other runs (0.5-42" in line
    assert "`python -m ldmiss_pipeline grid cancel` first" in line
    assert "all checks passed" in error_of(capsys)


@pytest.mark.parametrize(
    ("engine", "resources", "problem"),
    [
        (Local, Resources(minutes=5), "--time: the engine local has no time limit"),
        (Local, Resources(gpus=3), "--gpus-per-cell: 3 wanted, this host has 2 GPUs"),
    ],
)
def test_what_an_engine_cannot_give(
    engine: type[Local], resources: Resources, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with pytest.raises(InputError, match=problem):
        engine(tmp_path, resources).check()


def test_the_name_of_a_run() -> None:
    """It follows from commit and params."""
    document = tiny.document()
    assert run_name("a", document) == run_name("a", tiny.document())
    assert len({run_name("a", document), run_name("b", document), run_name("a", tiny.document(seed=43))}) == 3


def record(path: Path, stage: str, seconds: float, device: str | None) -> None:
    """An event of a worker that ran a stage of cell 0.5-42."""
    stamp = Cells(params.load()[1]).stage_items("0.5-42")[stage].stamp["params"]
    event = {"cell": "0.5-42", "attempt": 1, "host": "h", "stage": stage, "status": "done", "method": None}
    add_event(path, event | {"how": "executed", "seconds": seconds, "device": device, "params": stamp})


def test_the_plan_counts_what_is_left_and_uses_what_was_recorded(project: World) -> None:
    """A stage that a worker has done is not left; the same stage of another cell takes what it took."""
    run = GridRun("r", "c" * 40, "o", "shelf", "local", {}, 1, list(CELLS))
    record(run.events("0.5-42"), "train_vae@0.5-42", 7200.0, "cpu")
    plan = Plan(params.load()[1], CELLS, run)
    assert [item.label for item in plan.left["0.5-42"]] == ["mask@0.5-42", "evaluate@0.5-42"]
    text = plan.text(jobs=2, gpus=False)
    assert "0.5-42: 2 of 3 stages left, 0.0 min and 2 stages of unknown length" in text
    assert "0.8-42: 3 of 3 stages left, 2.0 h and 2 stages of unknown length" in text
    assert "in all 2.0 h; with 2 at a time about 2.0 h" in text
    assert "no grid here has recorded on CPUs with these params: evaluate, mask" in text


def test_the_plan_says_so_where_nothing_was_recorded(project: World) -> None:
    """Not on such devices: it guesses no time."""
    run = GridRun("r", "c" * 40, "o", "shelf", "local", {}, 1, list(CELLS))
    record(run.events("0.5-42"), "train_vae@0.5-42", 7200.0, "cpu")
    text = Plan(params.load()[1], CELLS, None).text(jobs=2, gpus=True)
    assert "in all" not in text
    assert "no grid here has recorded on GPUs with these params: evaluate, mask, train_vae" in text


def test_the_plan_knows_stages_that_compute_on_no_device(project: World) -> None:
    """Their events name none; what they took counts wherever the others are to run."""
    record(GRIDS / "earlier/events/0.5-42.jsonl", "mask@0.5-42", 36000.0, None)
    plan = Plan(params.load()[1], CELLS, None)
    for gpus in (False, True):
        assert "0.5-42: 3 of 3 stages left, 10.0 h and 2" in plan.text(jobs=2, gpus=gpus)


def test_cells_go_to_the_worker_that_is_free_first() -> None:
    assert makespan([3.0, 1.0, 1.0, 1.0], 2) == 3.0
    assert makespan([1.0, 1.0, 3.0], 1) == 5.0
