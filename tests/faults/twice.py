"""The same work started twice at once."""

import os
import signal
import time
from collections.abc import Iterator
from random import Random

from faults.clones import LATENTS, VAE, Clones
from faults.dvc_kills import judged as judged_clone
from faults.events import Stop
from faults.kills import INFERENCE, TRAINING, judged
from faults.outcome import Outcome
from faults.world import World

REFUSALS = ("Unable to acquire lock", "is busy, it is being blocked by", "another process is running")


def stage_twice(world: World, tries: int, random: Random) -> Iterator[Outcome]:
    """A second process of an item while the first is in its loop: refused by name, and the first is not disturbed."""
    works = TRAINING + INFERENCE
    for turn in range(tries):
        work = works[turn % len(works)]
        folder = world.fresh(*work)
        events = world.counts(*work, every=1)
        event = "step" if events["step"] else "chunk"
        first = world.start(folder, *work, stop=Stop(event, random.randint(1, events[event]), signal.SIGSTOP))
        while first.is_running():
            time.sleep(0.01)
        second = world.run(folder, *work)
        os.kill(first.pid, signal.SIGCONT)
        ended = first.wait()
        if second.status != 1 or REFUSALS[2] not in second.output:
            yield Outcome(f"{work[0]} twice: the second's status {second.status}: {second.last_line()} ({folder})")
            continue
        yield judged(world, folder, work, ended, "twice", every=0)


def repro_twice(clones: Clones, tries: int, random: Random) -> Iterator[Outcome]:
    """Two `dvc repro` in one workspace: each finishes or refuses clearly; after one more, the clean result."""
    for turn in range(tries):
        folder = clones.fresh(VAE, LATENTS)
        options = ["--wait-for-lock"] if turn % 2 else []
        command = ["dvc", *options, "repro", LATENTS]
        first = clones.start(folder, *command)
        time.sleep(random.uniform(0.0, 8.0) if turn else 0.0)
        second = clones.start(folder, *command)
        ends = [first.wait(), second.wait()]
        unclear = [end for end in ends if end.status != 0 and not any(text in end.output for text in REFUSALS)]
        if unclear or all(end.status != 0 for end in ends):
            yield Outcome(f"two dvc repro: {[(end.status, end.last_line()) for end in ends]} ({folder})")
            continue
        yield judged_clone(clones, folder, [VAE, LATENTS], clones.repro(folder, LATENTS), "two dvc repro", units=0)
