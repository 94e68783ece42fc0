"""The grid's parts without DVC: events, states, tries, the remote's settings, and every bad input before any job."""

import json
import os
import shutil
import stat
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny
from grid_world import World

from ldmiss.errors import InputError
from stages import params
from stages.estimate import MARGIN
from stages.grid import __main__ as command
from stages.grid import coordinator, state
from stages.grid.cells import Cells
from stages.grid.engines import table as engines
from stages.grid.engines.interface import Job, Resources
from stages.grid.engines.local import Local
from stages.grid.engines.slurm import Slurm, shards
from stages.grid.events import WORKER, add_event, read_events
from stages.grid.plan import Plan, makespan
from stages.grid.remote import load_remote, redacted, remote_config, save_remote, secrets
from stages.grid.state import GRIDS, Run, load_run, run_name
from stages.grid.status import table
from stages.grid.worker import reason_of

CELLS = ["0.5-42", "0.8-42"]


class FakeEngine:
    """Jobs that end, at the next look, as their script says: "done", "failed", or "gone" without a word."""

    sees_folder, poll_seconds, python = True, 0.0, "python"

    def __init__(self, run: Run, **scripts: list[str]) -> None:
        self._run, self._scripts = run, {name.replace("_", ".").replace("x", "-"): of for name, of in scripts.items()}
        self.submitted: list[str] = []
        self.left: dict[str, list[str]] = {}
        self.names: list[str] = []

    def check(self) -> None:
        """Always there."""

    def submit(self, job: Job) -> None:
        cell, attempt = (job.command[job.command.index(name) + 1] for name in ("--cell", "--attempt"))
        self.submitted.append(cell)
        self.names.append(job.name)
        self.left[job.name] = [cell, attempt]

    def active(self, names: Collection[str]) -> set[str]:
        """Each job is active once, and ends then."""
        still = set(names) & set(self.left)
        for job in still:
            cell, attempt = self.left.pop(job)
            ending = self._scripts[cell].pop(0)
            if ending != "gone":
                event = {"cell": cell, "attempt": int(attempt), "host": "h", "stage": WORKER, "status": ending}
                add_event(self._run.events(cell), event)
        return still

    def cancel(self, names: Collection[str]) -> None:
        """Nothing to do."""

    def output(self, job: str) -> str:
        return ""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run of two cells that has not begun."""
    monkeypatch.chdir(tmp_path)
    return Run("r", "c" * 40, "origin", "shelf", "local", {}, 1, list(CELLS))


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
    assert cells.shared() == ["download", "train_classifier"]
    labels = cells.labels("0.8-43")
    assert len(labels) == 15
    assert "impute@0.8-43-baselines" in labels
    assert set(cells.graph("0.8-43").before) == {*labels, "download", "train_classifier", "plot"}
    assert cells.only("0.8-43")["grid"]["missing_rates"] == [0.8]
    with pytest.raises(InputError, match=r"--cells: 0\.3-42 is not in the grid .* 0\.5-42, 0\.5-43"):
        cells.chosen(["0.5-42", "0.3-42"])


def test_all_cells_are_done_though_one_is_lost_and_one_fails_once(run: Run) -> None:
    """What ended badly is tried again; what ended well is not."""
    engine = FakeEngine(run, **{"0_5x42": ["gone", "done"], "0_8x42": ["failed", "done"]})
    assert coordinator.drive(run, engine, jobs=2, retries=1) == []
    assert sorted(engine.submitted) == ["0.5-42", "0.5-42", "0.8-42", "0.8-42"]
    assert [of.attempt for of in load_run("r").tries["0.5-42"]] == [1, 2]  # type: ignore[union-attr]


def test_a_cell_that_always_fails_does_not_stop_the_others(run: Run) -> None:
    """Its tries are used up; `run` again gives it as many, and leaves the others alone."""
    engine = FakeEngine(run, **{"0_5x42": ["failed"] * 9, "0_8x42": ["done"]})
    assert coordinator.drive(run, engine, jobs=1, retries=2) == ["0.5-42"]
    assert engine.submitted.count("0.5-42") == 3
    assert coordinator.drive(run, engine, jobs=1, retries=0) == ["0.5-42"]
    assert engine.submitted.count("0.5-42") == 4
    assert engine.submitted.count("0.8-42") == 1


def test_a_coordinator_that_starts_again_takes_over_what_runs(run: Run) -> None:
    """It submits only what was not, and waits for all."""
    engine = FakeEngine(run, **{"0_5x42": ["done"], "0_8x42": ["done"]})
    submit(run, engine)
    again = load_run("r")
    assert again is not None
    assert coordinator.drive(again, engine, jobs=2, retries=0) == []
    assert engine.submitted == CELLS


def submit(run: Run, engine: FakeEngine) -> None:
    """The first cell, as the coordinator does it."""
    run.begin_try("0.5-42")
    engine.submit(coordinator.worker_job(run, "0.5-42", engine))
    run.end_try("0.5-42")


class KilledError(Exception):
    """Stands for SIGKILL."""


def killed_at(run: Run, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> Run:
    """What the next coordinator reads, after one that submits the first cell is killed where it calls this."""

    def kill(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, kill)
        with pytest.raises(KilledError):
            coordinator.drive(run, engine, jobs=1, retries=0)
    again = load_run("r")
    assert again is not None
    return again


def test_a_coordinator_that_is_killed_after_a_submission_has_it_taken_over(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine finds the job by the name that was noted before; `jobs`, which `cancel` uses, has it, too."""
    engine = FakeEngine(run, **{"0_5x42": ["done"], "0_8x42": ["done"]})
    again = killed_at(run, engine, monkeypatch, Run, "end_try")
    assert list(again.jobs().values()) == engine.names
    assert coordinator.drive(again, engine, jobs=2, retries=0) == []
    assert engine.submitted == CELLS
    assert {cell: [of.attempt for of in tries] for cell, tries in again.tries.items()} == {cell: [1] for cell in CELLS}


def test_a_worker_that_has_ended_before_it_is_looked_for_is_not_started_again(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it said counts, though the engine no longer has it; an end that was not good is its own try."""
    engine = FakeEngine(run, **{"0_5x42": ["failed", "done"], "0_8x42": ["done"]})
    again = killed_at(run, engine, monkeypatch, Run, "end_try")
    engine.active(engine.names)
    assert again.state("0.5-42", set()) == "failed"
    assert coordinator.drive(again, engine, jobs=2, retries=0) == []
    assert [of.attempt for of in again.tries["0.5-42"]] == [1, 2]


def test_retries_count_from_now_for_a_job_that_is_taken_over(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own try is one of before, as it would be had it been noted."""
    engine = FakeEngine(run, **{"0_5x42": ["failed", "failed"], "0_8x42": ["done"]})
    again = killed_at(run, engine, monkeypatch, Run, "end_try")
    assert coordinator.drive(again, engine, jobs=2, retries=0) == ["0.5-42"]
    assert [of.attempt for of in again.tries["0.5-42"]] == [1, 2]
    assert all(of.submitted for of in again.tries["0.5-42"])


def test_cancel_in_the_middle_of_submitting(run: Run) -> None:
    """What `cancel` could not see is cancelled, and nothing more is submitted."""
    cancelled = []

    class Cancelled(FakeEngine):
        def submit(self, job: Job) -> None:
            super().submit(job)
            run.cancelled.touch()

        def cancel(self, names: Collection[str]) -> None:
            cancelled.extend(names)

    engine = Cancelled(run, **{"0_5x42": ["preempted"], "0_8x42": ["done"]})
    assert coordinator.drive(run, engine, jobs=2, retries=1) == CELLS
    assert engine.submitted == CELLS[:1]
    assert cancelled == engine.names


def test_what_another_coordinator_submits_meanwhile_is_taken_over(project: World) -> None:
    """Between the checks, which take their time, and the lock."""
    _, document = params.load()
    run = Run("r", "c" * 40, "origin", "shelf", "local", {}, 1, CELLS[:1])
    command._take_over(run, document)
    other = Run("r", "c" * 40, "origin", "shelf", "local", {}, 1, list(CELLS))
    submit(other, FakeEngine(other))
    command._take_over(run, document)
    assert run.cells == CELLS
    assert run.tries == other.tries


@pytest.mark.parametrize("detach", [False, True])
def test_a_try_that_was_never_submitted_is_dropped(run: Run, monkeypatch: pytest.MonkeyPatch, detach: bool) -> None:
    """The cell waits as before, and takes the same attempt, but another job."""
    engine = FakeEngine(run, **{"0_5x42": ["done"], "0_8x42": ["done"]})
    again = killed_at(run, engine, monkeypatch, engine, "submit")
    (never,) = again.tries["0.5-42"]
    assert again.state("0.5-42", set()) == "waiting"
    coordinator.drive(again, engine, jobs=2, retries=0, detach=detach)
    assert sorted(engine.submitted) == CELLS
    assert [of.attempt for of in again.tries["0.5-42"]] == [1]
    assert never.job not in engine.names


def test_a_job_that_comes_late_is_not_submitted_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """sbatch may live longer than the coordinator that started it: the job is there at the second look."""
    engine = FakeEngine(run, **{"0_5x42": ["done"], "0_8x42": ["done"]})
    again = killed_at(run, engine, monkeypatch, Run, "end_try")
    late, looks = engine.left.pop(engine.names[0]), 0
    look = FakeEngine.active

    def active(self: FakeEngine, names: Collection[str]) -> set[str]:
        nonlocal looks
        looks += 1
        if looks == 2:
            self.left[self.names[0]] = late
        return look(self, names)

    monkeypatch.setattr(FakeEngine, "active", active)
    assert coordinator.drive(again, engine, jobs=1, retries=0) == []
    assert engine.submitted == CELLS


def test_no_more_jobs_than_asked_for(run: Run) -> None:
    """At the same time."""
    most = 0

    class Counting(FakeEngine):
        def submit(self, job: Job) -> None:
            nonlocal most
            super().submit(job)
            most = max(most, len(self.left))

    engine = Counting(run, **{"0_5x42": ["done"], "0_8x42": ["done"]})
    assert coordinator.drive(run, engine, jobs=1, retries=0) == []
    assert most == 1


def test_what_workers_only_print_is_sorted_into_log_and_events(run: Run) -> None:
    """Each event once, however often it is brought; a node that does not answer takes nothing away."""
    run.begin_try("0.5-42")
    line = json.dumps({"cell": "0.5-42", "attempt": 1, "stage": "mask@0.5-42", "status": "running"})
    for output in ("", f"hello\nevent: {line}\n", f"hello\nevent: {line}\nmore\n", ""):
        coordinator._bring_output(run, "0.5-42", output)
    assert len(read_events(run.events("0.5-42"))) == 1
    assert run.log("0.5-42", 1).read_text().endswith("more\n")


def test_the_table_says_why_and_where(project: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row for each cell; the reason of what failed, and its log."""
    run = Run("r", "c" * 40, "origin", "shelf", "local", {}, 1, list(CELLS))
    (run.carried).mkdir(parents=True)
    (run.carried / "params.yaml").write_bytes(Path("params.yaml").read_bytes())
    run.begin_try("0.5-42")
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


def refuse_here(run: Run) -> Any:
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
    other = Run("other", "c" * 40, "o", "shelf", "local", vars(Resources()), 1, ["0.5-42"])
    other.carried.mkdir(parents=True)
    (other.carried / "params.yaml").write_text("")
    engine = FakeEngine(other, **{"0_5x42": ["gone"]})
    submit(other, engine)
    monkeypatch.setattr(engines, "make_engine", lambda run: engine)
    monkeypatch.setattr(command, "make_engine", refuse_here)
    line = error_of(capsys)
    assert "params or commit changed while grid other runs (0.5-42" in line
    assert "`python -m stages.grid cancel` first" in line
    assert "all checks passed" in error_of(capsys)


def test_two_coordinators_of_one_grid(run: Run) -> None:
    """The second is refused."""
    refused = pytest.raises(InputError, match=r"another .* drives this grid")
    with state.only_coordinator(run), refused, state.only_coordinator(run):
        pass


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


@pytest.mark.parametrize(
    ("gpus", "listed", "number"),
    [
        (0.5, "gpu:1,shard:2", 1),
        (0.25, "gpu:h100:8(S:0-1),shard:h100:32(S:0,1)\n(null)", 1),
        (0.75, "(null)\ngpu:4\nshard:a100:16,gpu:a100:4(IDX:0-3)", 3),
        (0.5, "gpu:1g.5gb:2,gpu:3g.20gb:2,shard:8", 1),
        (0.5, "gpu:1,shard:4\ngpu:2,shard:8,license:5", 2),
        (0.33, "gpu:1,shard:3", 1),
    ],
)
def test_a_fraction_of_a_gpu_is_a_number_of_shards(gpus: float, listed: str, number: int) -> None:
    """As many as nodes divide a GPU into, whatever the type; nodes without shards do not count."""
    assert shards(gpus, listed) == number


@pytest.mark.parametrize(
    ("gpus", "listed", "problem"),
    [
        (0.3, "gpu:1,shard:4", r"0\.3; a GPU has 4 shards here; allowed: 0\.25, 0\.5, 0\.75, 1, "),
        (0.001, "gpu:1,shard:4", r"0\.001; a GPU has 4 shards"),
        (0.5, "gpu:8(S:0-1)\n(null)", r"0\.5; no node here shares GPUs \(`shard` in Slurm's gres\.conf\)"),
        (0.5, "gpu:1,shard:2\ngpu:1,shard:4", r"a GPU has 2 or 4 shards, by the node; name a --slurm-partition"),
        (1.5, "gpu:1,shard:2", r"1\.5; allowed are whole numbers and fractions of one GPU"),
    ],
)
def test_a_fraction_that_slurm_cannot_give(gpus: float, listed: str, problem: str) -> None:
    with pytest.raises(InputError, match=f"--gpus-per-cell: .*{problem}"):
        shards(gpus, listed)


@pytest.fixture
def slurm_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of Slurm only its programs: sinfo knows a partition, and sbatch keeps what it is given."""
    programs = {
        "sinfo": 'test ! -e down && echo "cpu* (null)" && echo "gpu gpu:h100:2,shard:h100:8"',
        "sbatch": f"cp $1 {tmp_path}/given; echo Submitted batch job 7", "squeue": "test ! -e down",
        "scancel": f'test ! -e down && echo "$*" >> {tmp_path}/cancelled', "srun": "",
    }  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SBATCH_JOB_NAME", raising=False)
    (tmp_path / "bin").mkdir()
    for name, text in programs.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.usefixtures("slurm_programs")
@pytest.mark.parametrize(("gpus", "asked"), [(0.0, []), (2.0, ["--gpus-per-node=2"]), (0.5, ["--gres=shard:2"])])
def test_what_sbatch_is_asked_for(gpus: float, asked: list[str], tmp_path: Path) -> None:
    """Under a name by which the job is found."""
    Slurm(tmp_path / "jobs", Resources(gpus=gpus, partition="gpu")).submit(Job("ldmiss-r-1", ["true"], tmp_path))
    options = [line.split()[1] for line in (tmp_path / "given").read_text().splitlines() if line.startswith("#SBATCH")]
    assert [option for option in options if option.startswith(("--gpus", "--gres"))] == asked
    assert "--job-name=ldmiss-r-1" in options


@pytest.mark.usefixtures("slurm_programs")
@pytest.mark.parametrize(
    ("partition", "problem"),
    [("gpu", r"allowed: 0\.25, 0\.5, 0\.75, 1"), (None, "no node here shares GPUs")],
)
def test_slurm_refuses_a_fraction_before_any_job(partition: str | None, problem: str, tmp_path: Path) -> None:
    """By the nodes of the partition that the jobs would go to: without a name the default one."""
    with pytest.raises(InputError, match=problem):
        Slurm(tmp_path / "jobs", Resources(gpus=0.3, partition=partition)).check()


@pytest.mark.usefixtures("slurm_programs")
def test_slurm_that_fails_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is taken for cancelled or submitted that is not, and no name of the user's hides our jobs."""
    engine = Slurm(tmp_path / "jobs", Resources())
    engine.cancel(["ldmiss-a", "ldmiss-b"])
    assert (tmp_path / "cancelled").read_text() == "--me --name ldmiss-a\n--me --name ldmiss-b\n"
    (tmp_path / "down").touch()
    assert engine.active({"ldmiss-a"}) == {"ldmiss-a"}
    with pytest.raises(InputError, match="scancel fails"):
        engine.cancel(["ldmiss-a"])
    (tmp_path / "bin/sbatch").write_text("#!/bin/sh\necho 'Invalid partition name' >&2; exit 1\n")
    with pytest.raises(InputError, match=r"sbatch refused the job .*Invalid partition name"):
        engine.submit(Job("ldmiss-a", ["true"], tmp_path))
    (tmp_path / "down").unlink()
    monkeypatch.setenv("SBATCH_JOB_NAME", "mine")
    with pytest.raises(InputError, match="SBATCH_JOB_NAME: set in the environment"):
        engine.check()


def test_the_name_of_a_run() -> None:
    """Of commit and params."""
    document = tiny.document()
    assert run_name("a", document) == run_name("a", tiny.document())
    assert len({run_name("a", document), run_name("b", document), run_name("a", tiny.document(seed=43))}) == 3


def test_the_plan_counts_what_is_left_and_uses_what_was_recorded(project: World) -> None:
    """A stage that a worker has done is not left; the same stage of another cell takes what it took, with a margin."""
    typed, document = params.load()
    run = Run("r", "c" * 40, "o", "shelf", "local", {}, 1, list(CELLS))
    stamp = Cells(document).works("0.5-42")["train_vae@0.5-42"].stamp["params"]
    event = {"cell": "0.5-42", "attempt": 1, "host": "h", "stage": "train_vae@0.5-42", "status": "done"}
    more = {"how": "executed", "seconds": 7200.0, "device": "cpu", "params": stamp, "method": None}
    add_event(run.events("0.5-42"), event | more)
    plan = Plan(typed, document, CELLS, run)
    assert [work.label for work in plan.left["0.5-42"]] == ["mask@0.5-42", "evaluate@0.5-42"]
    text = plan.text(jobs=2, gpus=False)
    assert "0.5-42: 2 of 3 stages left" in text
    assert f"longest stage: train_vae@0.8-42, {2 * MARGIN:.1f} h" in text
    assert f"{2 * MARGIN:.1f} h" not in plan.text(jobs=2, gpus=True)


def test_the_plan_knows_stages_that_compute_on_no_device(project: World) -> None:
    """Their events name none; what they took counts wherever the others are to run."""
    typed, document = params.load()
    stamp = Cells(document).works("0.5-42")["mask@0.5-42"].stamp["params"]
    event = {"cell": "0.5-42", "attempt": 1, "host": "h", "stage": "mask@0.5-42", "status": "done", "method": None}
    took = {"how": "executed", "seconds": 36000.0, "device": None, "params": stamp}
    add_event(GRIDS / "earlier/events/0.5-42.jsonl", event | took)
    plan = Plan(typed, document, CELLS, None)
    for gpus in (False, True):
        assert f"longest stage: mask@0.5-42, {10 * MARGIN:.1f} h" in plan.text(jobs=2, gpus=gpus)


def test_the_plan_refuses_a_disk_that_is_too_small(project: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """With as many workers on this host as asked for."""
    typed, document = params.load()
    plan = Plan(typed, document, CELLS, None)
    one = plan.worker_bytes("0.5-42")
    settings = {"url": "s3://elsewhere/x"}
    room = 2 * plan.result_bytes() + one
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": room}))
    assert plan.refuse_full(local_jobs=1, settings=settings)
    with pytest.raises(InputError, match="are needed at most"):
        plan.refuse_full(local_jobs=2, settings=settings)


def test_cells_go_to_the_worker_that_is_free_first() -> None:
    assert makespan([3.0, 1.0, 1.0, 1.0], 2) == 3.0
    assert makespan([1.0, 1.0, 3.0], 1) == 5.0
