"""Kills of real `dvc repro`, the whole process group, then `dvc repro` again until it completes."""

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

from faults.clones import DIFFPUTER, LATENTS, SAMPLE, VAE, Clones, wait_until
from faults.events import Stop, counted, redone
from faults.forked import Ended
from faults.outcome import Outcome
from faults.real import STAGE_LOG


def in_the_loop(clones: Clones, tries: int, random: Random) -> Iterator[Outcome]:
    """Killed from within the stage, in its training or chunk loop."""
    places = [(VAE, "step", 20), (DIFFPUTER, "step", 12), (SAMPLE, "chunk", 5), (DIFFPUTER, "chunk", 4)]
    for number in range(tries):
        item, event, total = places[number % len(places)]
        yield killed_at(clones, [item], Stop(event, random.randint(1, total)), units=1)


COMMIT = [
    ("before hashing the outs", 1), ("after hashing the outs", 1), ("before copy into the cache", 1),
    ("after copy into the cache", 1), ("before commit of an out", 2), ("before update of dvc.lock", 1),
    ("after update of dvc.lock", 1), ("after commit of an out", 2),
]  # fmt: skip
"""DVC's steps after a stage has succeeded."""


def during_commit(clones: Clones, tries: int, random: Random) -> Iterator[Outcome]:
    """Killed in DVC's commit of a stage's outs: none of its work is redone."""
    del random  # the places are few, and taken in turn
    for number in range(tries):
        yield killed_at(clones, [VAE], Stop(*COMMIT[number % len(COMMIT)]), units=0)


def during_a_commit_of_the_same(clones: Clones, tries: int, random: Random) -> Iterator[Outcome]:
    """The same where dvc.lock has the entry already: the checkpoint is taken for recorded, and the stage runs again."""
    for _ in range(tries):
        yield killed_at(clones, [VAE, LATENTS], Stop(*random.choice(COMMIT[:6])), units=None, recorded=True)


def in_the_middle_of_a_file(clones: Clones, tries: int, random: Random) -> Iterator[Outcome]:
    """Killed while DVC rewrites dvc.lock or its list of locks, both in place: DVC refuses the half, and says which."""
    for number in range(tries):
        event = ("dvc.lock half written", "rwlock half written")[number % 2]
        yield killed_at(clones, [VAE], Stop(event, 1 if number % 2 == 0 else random.randint(1, 30)), units=1)


def at_random_times(clones: Clones, tries: int, random: Random) -> Iterator[Outcome]:
    """Killed from outside at a random moment of a run of two stages."""
    folder = clones.fresh(VAE, LATENTS)
    start = time.monotonic()
    clones.repro(folder, LATENTS)
    seconds = time.monotonic() - start
    shutil.rmtree(folder)
    for number in range(tries):
        killed, delay = Ended(0, ""), (number + random.random()) / tries * seconds
        while killed.status == 0:  # the end came before the kill
            running = clones.start(folder := clones.fresh(VAE, LATENTS), "dvc", "repro", LATENTS)
            time.sleep(delay)
            running.signal(signal.SIGKILL)
            killed = running.wait()
            delay *= 0.8
        yield gone_on(clones, folder, [VAE, LATENTS], killed, f"killed after {delay / 0.8:.1f} s", units=1)


def killed_at(clones: Clones, items: list[str], stop: Stop, *, units: int, recorded: bool = False) -> Outcome:
    """One try with one kill at an event; at most `units` of work may be redone."""
    folder = clones.fresh(*items, recorded=recorded)
    killed = clones.repro(folder, items[-1], stop=stop)
    return gone_on(clones, folder, items, killed, f"{items[0]} killed at {stop.event} {stop.count}", units=units)


def gone_on(clones: Clones, folder: Path, items: list[str], killed: Ended, where: str, *, units: int) -> Outcome:
    """Run again after a kill, and judge."""
    if killed.status != -signal.SIGKILL:
        return Outcome(f"{where}: was not killed, but ended with {killed.status}: {killed.last_line()} ({folder})")
    return judged(clones, folder, items, repeated(clones, folder, items[-1]), where, kills=1, units=units)


def judged(
    clones: Clones, folder: Path, items: list[str], ended: Ended, where: str, *, kills: int = 0, units: int | None
) -> Outcome:
    """The outcome of a try whose last `dvc repro` has ended.

    Args:
        units: the most units of work that may have been done again; None: not measured.
    """
    log = folder / STAGE_LOG
    twice = max(redone(log), default=0) if log.exists() and units is not None else None
    problem = (
        (f"ended with {ended.status}: {ended.last_line()}" if ended.status != 0 else None)
        or clones.difference(folder, *items)
        or (f"{twice} units of work redone, {units} allowed" if (twice or 0) > (units or 0) else None)
    )
    if problem is None:
        shutil.rmtree(folder, ignore_errors=True)  # a file system may still be mounted in it
    return Outcome(problem and f"{where}: {problem} ({folder})", kills, twice, units or 0)


def repeated(clones: Clones, folder: Path, item: str) -> Ended:
    """`dvc repro` again, after doing what its message asks for where a file of DVC's own was half written."""
    ended = clones.repro(folder, item)
    if "dvc.lock" in ended.output and ended.status != 0:
        subprocess.run(["git", "checkout", "--quiet", "dvc.lock"], cwd=folder, check=True)
        ended = clones.repro(folder, item)
    if "Unable to read RWLock-file" in ended.output:
        (folder / ".dvc/tmp/rwlock").unlink()
        ended = clones.repro(folder, item)
    return ended


def asked_to_leave(clones: Clones, tries: int, random: Random) -> Iterator[Outcome]:
    """SIGTERM, or Ctrl-C, to the process group of `dvc repro` in a stage's loop: the stage saves, no step is redone."""
    for turn in range(tries):
        number = (signal.SIGTERM, signal.SIGINT)[turn % 2]
        folder = clones.fresh(VAE)
        stop = Stop("step", random.randint(2, 18), signal=number)
        left = clones.repro(folder, VAE, stop=stop, extra={"LDMISS_CHECKPOINT_SECONDS": "1000"})
        where = f"dvc repro sent {number.name} at step {stop.count}"
        if left.status == 0 or f"stopped by {number.name}" not in left.output:
            yield Outcome(f"{where}: status {left.status}: {left.last_line()} ({folder})")
            continue
        yield judged(clones, folder, [VAE], clones.repro(folder, VAE), where, units=0)


def dvc_alone(clones: Clones, tries: int, random: Random) -> Iterator[Outcome]:
    """SIGKILL of `dvc` alone, whose stage goes on: meanwhile another is refused, and the next finds what it made."""
    for _ in range(tries):
        folder = clones.fresh(VAE, LATENTS)
        step = random.randint(2, 19)
        running = clones.start(folder, "dvc", "repro", LATENTS, stop=Stop("step", step, signal=signal.SIGSTOP))
        log = folder / STAGE_LOG
        stopped = wait_until(lambda log=log, step=step: log.exists() and counted(log)["step"] >= step)
        running.process.kill()
        running.process.wait()
        refused = clones.repro(folder, LATENTS)
        running.signal(signal.SIGCONT)
        running.wait()  # until the stage, too, has closed its output
        if not stopped or refused.status == 0 or "another process is running" not in refused.output:
            yield Outcome(f"dvc alone killed at step {step}: {refused.status}: {refused.last_line()} ({folder})")
            continue
        ended = clones.repro(folder, LATENTS)
        yield judged(clones, folder, [VAE, LATENTS], ended, "dvc alone killed", kills=1, units=0)
