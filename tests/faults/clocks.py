"""The clock set back by days: between a kill and the next run, and in the middle of a run."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random

from faults.clones import LATENTS, VAE, Clones, wait_until
from faults.dvc_kills import judged as judged_clone
from faults.events import Stop, counted
from faults.kills import INFERENCE, TRAINING, judged
from faults.outcome import Outcome
from faults.real import STAGE_LOG
from faults.world import World

DAYS = 3


@cache
def library() -> str | None:
    """Where libfaketime is, as it is preloaded; None where it is not installed."""
    if shutil.which("faketime") is None:
        return None
    command = ["faketime", "-f", f"-{DAYS}d", "printenv", "LD_PRELOAD"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def set_back_in_stages(world: World, tries: int, random: Random) -> Iterator[Outcome]:
    """Killed, then run again with a `time.time()` that is days behind the files that the kill left."""
    works = TRAINING + INFERENCE
    for turn in range(tries):
        work = works[turn % len(works)]
        counts = world.counts(*work, every=1)
        event = "step" if counts["step"] else "chunk"
        folder = world.fresh(*work)
        world.run(folder, *work, stop=Stop(event, random.randint(1, counts[event])))
        ended = world.run(folder, *work, prepare=_behind)
        yield judged(world, folder, work, ended, "clock set back after a kill", kills=1, every=1)


def _behind() -> None:
    import time

    now = time.time
    time.time = lambda: now() - DAYS * 86400


def set_back_between_runs(clones: Clones, tries: int, random: Random) -> Iterator[Outcome]:
    """`dvc repro` killed, then run again by a clock that is days behind (libfaketime)."""
    if library() is None:
        yield Outcome(not_tried="needs libfaketime")
        return
    for _ in range(tries):
        folder = clones.fresh(VAE, LATENTS)
        clones.repro(folder, LATENTS, stop=Stop("step", random.randint(2, 20)))
        ended = clones.repro(folder, LATENTS, extra=_fake(folder, f"-{DAYS}d"))
        yield judged_clone(clones, folder, [VAE, LATENTS], ended, "clock set back after a kill", kills=1, units=1)


def set_back_in_a_run(clones: Clones, tries: int, random: Random) -> Iterator[Outcome]:
    """The clock jumps back by days while a stage of `dvc repro` trains (libfaketime)."""
    if library() is None:
        yield Outcome(not_tried="needs libfaketime")
        return
    for _ in range(tries):
        folder, step = clones.fresh(VAE, LATENTS), random.randint(2, 19)
        running = clones.start(folder, "dvc", "repro", LATENTS, extra=_fake(folder, "+0"))
        log = folder / STAGE_LOG
        in_time = wait_until(lambda log=log, step=step: log.exists() and counted(log)["step"] >= step)
        _set(folder, f"-{DAYS}d")
        ended = running.wait()
        if not in_time or not list((folder / "runs").glob("*")):
            yield Outcome(f"clock set back in a run: no step {step}: {ended.last_line()} ({folder})")
            continue
        yield judged_clone(clones, folder, [VAE, LATENTS], ended, "clock set back in a run", units=0)


def _fake(folder: Path, offset: str) -> dict[str, str]:
    _set(folder, offset)
    return {
        "LD_PRELOAD": library() or "", "FAKETIME_TIMESTAMP_FILE": str(_offset(folder)), "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # no clock that is set back moves this one
    }  # fmt: skip


def _set(folder: Path, offset: str) -> None:
    temporary = _offset(folder).with_suffix(".new")
    temporary.write_text(f"{offset}\n")
    os.replace(temporary, _offset(folder))


def _offset(folder: Path) -> Path:
    return folder / ".clock"
