"""The grid on the engine `local`, with real workers, clones and a directory remote, against a plain `dvc repro`."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from support.grid_world import TWO_MODELS, World

SECONDS = 120


def plain(world: World) -> tuple[str, str]:
    """dvc.lock and the summary of a plain `dvc repro` of the same commit."""
    folder = world.project.parent / "plain"
    world.git("clone", "--quiet", str(world.project), str(folder))
    shutil.copy(world.project / "params.yaml", folder / "params.yaml")
    environment = world.environment | {"DVC_SITE_CACHE_DIR": str(folder.parent / "plain-site")}
    subprocess.run(
        [sys.executable, "-m", "dvc", "repro", "--quiet"], cwd=folder, env=environment, check=True, timeout=SECONDS
    )
    return (folder / "dvc.lock").read_text(), (folder / "metrics/summary.json").read_text()


def wait_for(path: Path) -> None:
    wait_until(path.exists)


def wait_until(happens: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_a_grid_with_a_poisoned_cell_ends_as_a_plain_run(tmp_path: Path) -> None:
    """The poisoned cell fails, with its reason, and the other is done; run again does what is left, and only that."""
    world = World(tmp_path / "world")
    poison = world.control / "poison train_vae@0.5-42"
    poison.touch()
    output = world.grid("run", "--jobs", "2", "--retries", "0", status=1)
    assert "0.5-42: failed, try 1: error: train_vae@0.5-42: poisoned" in output
    assert "0.8-42: done" in output
    assert "`collect --partial` brings the others" in world.grid("collect", status=1)

    poison.unlink()
    before = len(world.executed())
    world.grid("run")
    assert world.executed()[before:] == ["train_vae@0.5-42", "evaluate@0.5-42"]
    events = [event for event in world.events("0.5-42") if event["attempt"] == 2 and event["status"] == "done"]
    assert {event["stage"]: event.get("how") for event in events} == {
        "download": "cached", "mask@0.5-42": "cached", "train_vae@0.5-42": "executed", "evaluate@0.5-42": "executed",
        "worker": None,
    }  # fmt: skip

    before = len(world.executed())
    assert "all 2 cells are here; committed " in world.grid("collect")
    assert world.executed()[before:] == ["plot"]
    assert world.git("status", "--porcelain") == ""
    expected = plain(world)
    assert (world.lock(), (world.project / "metrics/summary.json").read_text()) == expected
    assert not list(world.temporary.iterdir()), "a clone was left behind"
    assert not list(world.project.glob("runs/grid/*/carried/remote")), "the remote's settings were left behind"


@pytest.mark.slow
def test_several_stages_of_a_cell_at_a_time_end_as_a_plain_run(tmp_path: Path) -> None:
    """Two trainings of each cell run side by side, in two workers at the same time."""
    world = World(tmp_path / "world", TWO_MODELS)
    labels = [f"{stage}@{cell}" for cell in ("0.5-42", "0.8-42") for stage in ("train_vae", "train_ddpm")]
    for label in labels:
        (world.control / f"hold {label}").touch()
    coordinator = world.start("run", "--jobs", "2", "--stage-jobs", "2", "--retries", "0")
    for label in labels:
        wait_for(world.control / f"holding {label}")
    for label in labels:
        (world.control / f"hold {label}").unlink()
    output, _ = coordinator.communicate(timeout=SECONDS)
    assert coordinator.returncode == 0, output
    assert len(world.executed()) == len(set(world.executed())) == 9
    assert "all 2 cells are here; committed " in world.grid("collect")
    assert (world.lock(), (world.project / "metrics/summary.json").read_text()) == plain(world)


@pytest.fixture
def worker(tmp_path: Path) -> tuple[World, list[str]]:
    """A project whose shared stages are on the remote, and the command of the worker of its first cell."""
    world = World(tmp_path / "world", grid={"name": "cell", "missing_rates": [0.5], "seeds": [42]})
    world.dvc("repro", "--quiet", "download")
    world.dvc("push", "--quiet", "--run-cache", "download")
    (tmp_path / "remote").write_text(f"[core]\nremote = shelf\n['remote \"shelf\"']\nurl = {world.remote}\n")
    arguments = {
        "cell": "0.5-42", "commit": world.git("rev-parse", "HEAD").strip(), "origin": world.project,
        "params": world.project / "params.yaml", "remote-config": tmp_path / "remote",
        "events": world.project / "runs/grid/r/events/0.5-42.jsonl",
    }  # fmt: skip
    options = [str(part) for name, value in arguments.items() for part in (f"--{name}", value)]
    return world, [sys.executable, "-m", "ldmiss_pipeline.grid.worker", *options]


@pytest.mark.slow
def test_a_worker_that_is_asked_to_leave_has_pushed_what_ended(worker: tuple[World, list[str]]) -> None:
    """SIGTERM in the second stage: it leaves nothing behind, and the next try takes the first stage from the remote."""
    world, command = worker
    (world.control / "hold train_vae@0.5-42").touch()
    with subprocess.Popen(command, cwd=world.project, env=world.environment) as process:
        wait_for(world.control / "holding train_vae@0.5-42")
        below = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 143
    assert not [child for child in below if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    assert not list(world.temporary.iterdir())
    (world.control / "hold train_vae@0.5-42").unlink()
    subprocess.run([*command, "--attempt", "2"], cwd=world.project, env=world.environment, check=True, timeout=SECONDS)
    said = [(of["attempt"], of["stage"], of["status"], of.get("how")) for of in world.events("0.5-42")]
    assert [of for of in said if of[2] != "running"] == [
        (1, "download", "done", "cached"),
        (1, "mask@0.5-42", "done", "executed"),
        (1, "train_vae@0.5-42", "preempted", None),
        (1, "worker", "preempted", None),
        (2, "download", "done", "cached"),
        (2, "mask@0.5-42", "done", "cached"),
        (2, "train_vae@0.5-42", "done", "executed"),
        (2, "evaluate@0.5-42", "done", "executed"),
        (2, "worker", "done", None),
    ]


@pytest.mark.slow
def test_a_worker_with_two_stages_under_way_leaves_both(tmp_path: Path) -> None:
    """`cancel` while two trainings of a cell run: both are asked to leave, what had ended is not run again."""
    world = World(tmp_path / "world", TWO_MODELS, grid={"name": "cell", "missing_rates": [0.5], "seeds": [42]})
    labels = ["train_vae@0.5-42", "train_ddpm@0.5-42"]
    for label in labels:
        (world.control / f"hold {label}").touch()
    with world.start("run", "--stage-jobs", "2", "--retries", "0") as coordinator:
        for label in labels:
            wait_for(world.control / f"holding {label}")
        world.grid("cancel")
        assert coordinator.wait(SECONDS) == 1
    wait_until(lambda: not list(world.temporary.iterdir()))
    assert [(of["stage"], of["status"]) for of in world.events("0.5-42")][-1] == ("worker", "preempted")
    assert {of["stage"] for of in world.events("0.5-42") if of["status"] == "preempted"} == {*labels, "worker"}
    for label in labels:
        (world.control / f"hold {label}").unlink()
    world.grid("run", "--stage-jobs", "2")
    assert sorted(world.executed()) == sorted(["download", "mask@0.5-42", "evaluate@0.5-42", *labels, *labels])


@pytest.mark.slow
def test_a_killed_worker_and_a_remote_that_is_away(worker: tuple[World, list[str]]) -> None:
    """What a killed worker leaves is ended and removed by the next; that one waits until the remote is back."""
    world, command = worker
    hold = world.control / "hold train_vae@0.5-42"
    hold.touch()
    with subprocess.Popen(command, cwd=world.project, env=world.environment) as process:
        wait_for(world.control / "holding train_vae@0.5-42")
        below = psutil.Process(process.pid).children(recursive=True)
        process.kill()
    (left,) = world.temporary.iterdir()
    with subprocess.Popen([*command, "--attempt", "2"], cwd=world.project, env=world.environment) as process:
        wait_until(lambda: world.executed().count("train_vae@0.5-42") == 2)
        assert not left.exists()
        assert not [child for child in below if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
        world.remote.rename(world.remote.with_name("away"))
        hold.unlink()
        time.sleep(10)  # longer than DVC takes to find that nothing is there
        assert process.poll() is None
        world.remote.with_name("away").rename(world.remote)
        assert process.wait(SECONDS) == 0
    assert world.executed().count("mask@0.5-42") == 1


def at_second_stage(tmp_path: Path) -> "tuple[World, Path, subprocess.Popen[str]]":
    """A grid of one cell whose worker is at its second stage until the file is removed; its coordinator."""
    world = World(tmp_path / "world", grid={"name": "cell", "missing_rates": [0.5], "seeds": [42]})
    hold = world.control / "hold train_vae@0.5-42"
    hold.touch()
    coordinator = world.start("run")
    wait_for(world.control / "holding train_vae@0.5-42")
    return world, hold, coordinator


@pytest.mark.slow
def test_a_killed_coordinator_is_taken_over(tmp_path: Path) -> None:
    """SIGKILL while a worker is at its second stage: it goes on, and `run` again waits for it and starts no other."""
    world, hold, coordinator = at_second_stage(tmp_path)
    coordinator.kill()
    coordinator.wait()
    assert "1 running" in world.grid("status")
    again = world.start("run")
    time.sleep(3)
    hold.unlink()
    output, _ = again.communicate(timeout=SECONDS)
    assert again.returncode == 0, output
    assert world.executed() == ["download", "mask@0.5-42", "train_vae@0.5-42", "evaluate@0.5-42"]
    assert {of["attempt"] for of in world.events("0.5-42")} == {1}


KILLED = """
import os
from ldmiss_pipeline.grid import __main__ as command, state
state.GridRun.end_attempt = lambda run, cell: os._exit(137)
command.main(["run"])
"""
"""A coordinator that is gone when it has submitted its first job, before it has noted so."""


@pytest.mark.slow
def test_nothing_is_submitted_twice_when_the_coordinator_is_killed_in_between(tmp_path: Path) -> None:
    """`run` again waits for the same worker, and starts no other."""
    world = World(tmp_path / "world", grid={"name": "cell", "missing_rates": [0.5], "seeds": [42]})
    hold = world.control / "hold train_vae@0.5-42"
    hold.touch()
    killed = subprocess.run([sys.executable, "-c", KILLED], cwd=world.project, env=world.environment, check=False)
    assert killed.returncode == 137
    again = world.start("run")
    wait_for(world.control / "holding train_vae@0.5-42")
    assert "1 running" in world.grid("status")
    hold.unlink()
    output, _ = again.communicate(timeout=SECONDS)
    assert again.returncode == 0, output
    assert world.executed() == ["download", "mask@0.5-42", "train_vae@0.5-42", "evaluate@0.5-42"]
    assert {of["attempt"] for of in world.events("0.5-42")} == {1}


@pytest.mark.slow
def test_cancel_after_the_coordinator_was_killed_in_between(tmp_path: Path) -> None:
    """The job is there though no coordinator knows that it was submitted."""
    world = World(tmp_path / "world", grid={"name": "cell", "missing_rates": [0.5], "seeds": [42]})
    (world.control / "hold train_vae@0.5-42").touch()
    subprocess.run([sys.executable, "-c", KILLED], cwd=world.project, env=world.environment, check=False)
    wait_for(world.control / "holding train_vae@0.5-42")
    assert "1 jobs were asked to leave" in world.grid("cancel")
    wait_until(lambda: world.events("0.5-42")[-1]["stage"] == "worker")
    assert world.events("0.5-42")[-1]["status"] == "preempted"


@pytest.mark.slow
def test_cancel(tmp_path: Path) -> None:
    """The worker is asked to leave, and says so."""
    world = World(tmp_path / "world", grid={"name": "cell", "missing_rates": [0.5], "seeds": [42]})
    (world.control / "hold train_vae@0.5-42").touch()
    with world.start("run", "--retries", "0") as coordinator:
        wait_for(world.control / "holding train_vae@0.5-42")
        assert "1 jobs were asked to leave" in world.grid("cancel")
        output, _ = coordinator.communicate(timeout=SECONDS)
    assert coordinator.returncode == 1
    assert "0.5-42: preempted, try 1" in output


@pytest.mark.slow
def test_ctrl_c_on_one_host(tmp_path: Path) -> None:
    """It reaches the worker as well, which leaves in good order; `run` again goes on."""
    world, hold, coordinator = at_second_stage(tmp_path)
    os.killpg(coordinator.pid, signal.SIGINT)
    assert coordinator.wait(SECONDS) == 130
    wait_until(lambda: world.events("0.5-42")[-1]["stage"] == "worker")
    assert world.events("0.5-42")[-1]["status"] == "preempted"
    wait_until(lambda: not list(world.temporary.iterdir()))
    hold.unlink()
    world.grid("run")
    assert world.executed().count("mask@0.5-42") == 1
