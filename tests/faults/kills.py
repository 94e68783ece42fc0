"""Kills of single stages, in forked processes: each at a chosen event or after a random time, then run to the end."""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from support import tiny

from faults.events import Stop, last_event, redone
from faults.forked import Ended
from faults.outcome import Outcome
from faults.world import World
from ldmiss_pipeline.artifacts.paths import Item
from ldmiss_pipeline.running.finished import REMOVED

Work = tuple[str, Item]

CLASSIFIER, VAE, LDM, DDPM, DIFFPUTER = (
    (stage, Item() if stage == "train_classifier" else tiny.CELL)
    for stage in ("train_classifier", "train_vae", "train_ldm", "train_ddpm", "train_diffputer")
)
TRAINING: list[Work] = [CLASSIFIER, VAE, LDM, DDPM, DIFFPUTER]
INFERENCE: list[Work] = [work for work in tiny.ITEMS if work[0] in ("sample", "impute")]
EVERY_STAGE: list[Work] = [work for work in tiny.ITEMS if work[0] != "check"]  # which writes nothing
INTERVALS = (1, 3)
"""Units of work between two checkpoints, in turn."""


def at_events(
    world: World, tries: int, random: Random, *, works: list[Work], events: list[str], in_a_row: int = 1,
    under_dvc: bool = False, at_a_time: int = 1,
) -> Iterator[Outcome]:  # fmt: skip
    """Kill at the given events: works, events and intervals in turn, and each event over the range of its occurrences.

    Args:
        works: stages and items.
        events: where to kill; they happen in each of the works.
        in_a_row: at most so many kills, one run after the other, before the run that is let finish.
        under_dvc: run the stages as DVC does.
        at_a_time: chunks computed side by side; with more than one, each is saved when it is done.
    """
    places = [(work, event) for event in events for work in works]
    for number in range(tries):
        work, event = places[number % len(places)]
        turn, turns = number // len(places), -(-tries // len(places))
        every = INTERVALS[(number + turn) % 2] if at_a_time == 1 else 0
        total = world.counts(*work, every=every, under_dvc=under_dvc, at_a_time=at_a_time)[event]
        if total == 0:
            raise ValueError(f"{event} never happens in {work[0]}")
        first = min(int((turn + random.random()) / turns * total), total - 1) + 1
        later = [random.randint(1, max(1, (total - first) // 2)) for _ in range(random.randint(1, in_a_row) - 1)]
        yield try_stops(world, work, [Stop(event, count) for count in (first, *later)], every, under_dvc, at_a_time)


def try_stops(
    world: World, work: Work, stops: list[Stop], every: int, under_dvc: bool = False, at_a_time: int = 1
) -> Outcome:
    """Run an item, killed at each of `stops` in turn, then to its end."""
    folder, kills = world.fresh(*work), 0
    options = {"every": every, "under_dvc": under_dvc, "at_a_time": at_a_time}
    where = f"killed at {', '.join(f'{stop.event} {stop.count}' for stop in stops)}"
    for stop in stops:
        ended = world.run(folder, *work, stop=stop, **options)
        if ended.status == 0:
            break  # fewer events were left than were drawn
        if ended.status != -signal.SIGKILL:
            return Outcome(f"{work[0]} {where}: ended with {ended.status}: {ended.last_line()}", kills)
        kills += 1
    if ended.status != 0:
        ended = _completed(world, folder, work, **options)
    may_cost = max(every, at_a_time)  # those since the last save, or those under way
    return judged(world, folder, work, ended, where, kills=kills, every=may_cost, checkpoint_left=under_dvc)


def at_random_times(world: World, tries: int, random: Random, *, works: list[Work]) -> Iterator[Outcome]:
    """Kill from outside after a random part of the time that the item takes."""
    for number in range(tries):
        work = works[number % len(works)]
        start = time.monotonic()
        world.run(folder := world.fresh(*work), *work)
        shutil.rmtree(folder)
        seconds = time.monotonic() - start
        ended, delay = Ended(0, ""), 0.0
        while ended.status == 0:  # the end came before the kill
            shutil.rmtree(folder, ignore_errors=True)
            running = world.start(folder := world.fresh(*work), *work)
            delay = random.uniform(0.0, seconds)
            time.sleep(delay)
            os.kill(running.pid, signal.SIGKILL)
            ended = running.wait()
        if ended.status == -signal.SIGKILL:
            ended = _completed(world, folder, work)
        yield judged(world, folder, work, ended, f"killed after {delay:.3f} s", kills=1, every=1)


def _completed(world: World, folder: Path, work: Work, **options: Any) -> Ended:
    """Run again after a kill, except where all work was done: what is there must then be whole as it is.

    That is so from the moment on at which the checkpoints are gone: they are removed when the outs are written.
    """
    event, checkpoints = last_event(folder / ".events"), list((folder / "ckpt").glob("[!.]*"))
    if event == "after remove" or (event == "before remove" and not checkpoints):
        for half_removed in (folder / "ckpt").glob(f"{REMOVED}*"):
            shutil.rmtree(half_removed)  # as the next stage does
        return Ended(0, "")
    return world.run(folder, *work, **options)


def judged(
    world: World, folder: Path, work: Work, ended: Ended, where: str, *, kills: int = 0, every: int | None,
    checkpoint_left: bool = False,
) -> Outcome:  # fmt: skip
    """The outcome of a try whose last run has ended: its status, the outs, what is left behind, the work redone.

    Args:
        every: the units of work that a kill may cost; None: not measured.
        checkpoint_left: whether the checkpoint's folder stays.
    """
    twice = None if every is None else max(redone(folder / ".events"))
    problem = (
        (f"ended with {ended.status}: {ended.last_line()}" if ended.status != 0 else None)
        or world.difference(folder, *work, checkpoint_left=checkpoint_left)
        or (f"{twice} units of work redone, {every} allowed" if (twice or 0) > (every or 0) else None)
    )
    if problem is None:
        shutil.rmtree(folder, ignore_errors=True)  # a file system may still be mounted in it
    return Outcome(problem and f"{work[0]}@{work[1].name} {where}: {problem} ({folder})", kills, twice, every or 0)
