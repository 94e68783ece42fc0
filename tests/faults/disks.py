"""A disk that fills up, or turns read-only, under a model, under a checkpoint, under DVC's cache."""

import itertools
from collections.abc import Iterator
from random import Random

from faults.clones import LATENTS, VAE, Clones
from faults.dvc_kills import judged as judged_clone
from faults.events import Stop
from faults.kills import DIFFPUTER, LDM, TRAINING, judged
from faults.mounts import mounted, why_not
from faults.outcome import Outcome
from faults.world import World

EVERY = 3
"""Steps between two checkpoints."""


def full_under_the_model(world: World, tries: int, random: Random) -> Iterator[Outcome]:
    """No room for the trained model: said by name; with room, the stage goes on from its last checkpoint."""
    if reason := why_not():
        yield Outcome(not_tried=reason)
        return
    for work in itertools.islice(itertools.cycle(TRAINING[1:]), tries):
        folder = world.fresh(*work)
        model = world.outs(*work)[0]
        with mounted(folder / model.parent) as disk:
            disk.fill(random.choice([0, 4, 8]))
            failed = world.run(folder, *work, every=EVERY)
            disk.free()
            ended = world.run(folder, *work, every=EVERY)
            if failed.status != 1 or f"{model}: no space left" not in failed.output:
                yield Outcome(f"full disk under {model}: status {failed.status}: {failed.last_line()} ({folder})")
                continue
            # All steps were done before the model was written, so that none since the last checkpoint may be lost.
            yield judged(world, folder, work, ended, "full disk under the model", every=EVERY)


def full_under_the_checkpoint(world: World, tries: int, random: Random) -> Iterator[Outcome]:
    """The disk fills up while a checkpoint is written, in the middle of the training."""
    if reason := why_not():
        yield Outcome(not_tried=reason)
        return
    for work in itertools.islice(itertools.cycle([LDM, DIFFPUTER]), tries):
        folder = world.fresh(*work)
        with mounted(folder / "ckpt") as disk:
            world.run(folder, *work, every=EVERY, stop=Stop("step", random.randint(EVERY + 1, 9)))
            disk.fill(random.choice([0, 4, 8]))
            failed = world.run(folder, *work, every=EVERY)
            disk.free()
            ended = world.run(folder, *work, every=EVERY)
            if failed.status != 1 or "no space left" not in failed.output:
                yield Outcome(f"full disk under ckpt: status {failed.status}: {failed.last_line()} ({folder})")
                continue
            yield judged(world, folder, work, ended, "full disk under the checkpoint", kills=1, every=EVERY)


def full_under_the_cache(clones: Clones, tries: int, random: Random) -> Iterator[Outcome]:
    """DVC cannot copy the outs into its cache, and says so; with room, `dvc repro` computes nothing again."""
    yield from _bad_cache(clones, tries, random, read_only=False)


def read_only_cache(clones: Clones, tries: int, random: Random) -> Iterator[Outcome]:
    """The same where the cache cannot be written to."""
    yield from _bad_cache(clones, tries, random, read_only=True)


def _bad_cache(clones: Clones, tries: int, random: Random, *, read_only: bool) -> Iterator[Outcome]:
    if reason := why_not():
        yield Outcome(not_tried=reason)
        return
    for _ in range(tries):
        folder = clones.fresh(VAE, LATENTS)
        with mounted(folder / ".dvc/cache") as disk:
            if read_only:
                disk.remount("ro")
            else:
                disk.fill(random.choice([0, 16, 64]))
            failed = clones.repro(folder, LATENTS)
            disk.remount("rw") if read_only else disk.free()
            expected = "Read-only file system" if read_only else "No space left on device"
            if failed.status == 0 or expected not in failed.output:
                yield Outcome(f"{expected}: status {failed.status}: {failed.last_line()} ({folder})")
                continue
            yield judged_clone(clones, folder, [VAE, LATENTS], clones.repro(folder, LATENTS), expected, units=0)
