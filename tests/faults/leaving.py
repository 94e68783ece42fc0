"""Being asked to leave: SIGTERM as a scheduler sends it, Ctrl-C, and a stage that does not come to a safe point."""

import signal
import time
from collections.abc import Iterator
from random import Random

from faults.events import WORK, Stop
from faults.kills import EVERY_STAGE, INFERENCE, TRAINING, judged
from faults.outcome import Outcome
from faults.world import World

NEVER = 10**6
"""An interval between checkpoints that no tiny stage reaches: what is saved is saved on leaving."""


def asked_in_the_loop(world: World, tries: int, random: Random, *, number: int) -> Iterator[Outcome]:
    """The signal to the process group in a training or chunk loop: its exit status, and no step is done twice."""
    for turn in range(tries):
        work = (TRAINING + INFERENCE)[turn % len(TRAINING + INFERENCE)]
        counts = world.counts(*work, every=NEVER)
        event = random.choice([event for event in WORK if counts[event]])
        stop = Stop(event, random.randint(1, counts[event] - 1), signal=number, group=True)
        folder = world.fresh(*work)
        left = world.run(folder, *work, stop=stop, every=NEVER)
        where = f"sent {signal.Signals(number).name} at {event} {stop.count}"
        if left.status != 128 + number or not list(folder.glob("ckpt/*/*.safetensors")):
            yield Outcome(f"{work[0]} {where}: status {left.status}, or no checkpoint: {left.last_line()} ({folder})")
            continue
        yield judged(world, folder, work, world.run(folder, *work), where, every=0)


def asked_anywhere(world: World, tries: int, random: Random) -> Iterator[Outcome]:
    """SIGTERM at any file that any stage writes: it ends with 143 or finishes, and never with half a result."""
    for turn in range(tries):
        work = EVERY_STAGE[turn % len(EVERY_STAGE)]
        event = random.choice(["out half written", "before out rename", "after out rename"])
        stop = Stop(event, random.randint(1, world.counts(*work, every=1)[event]), signal=signal.SIGTERM)
        folder = world.fresh(*work)
        ended = world.run(folder, *work, stop=stop)
        if ended.status == 128 + signal.SIGTERM:
            ended = world.run(folder, *work)
        yield judged(world, folder, work, ended, f"sent SIGTERM at {event} {stop.count}", every=1)


def asked_in_a_long_piece(world: World, tries: int, random: Random) -> Iterator[Outcome]:
    """A step that takes minutes: the stage leaves after its grace, or at once on a second signal."""
    for turn in range(tries):
        work = TRAINING[turn % len(TRAINING)]
        twice = bool(turn % 2)
        step = random.randint(2, world.counts(*work, every=1)["step"])
        folder = world.fresh(*work)
        start = time.monotonic()
        left = world.run(folder, *work, prepare=lambda step=step, twice=twice: _hang_at(step, signal_twice=twice))
        where = f"sent SIGTERM {'twice ' if twice else ''}in a long step {step}"
        if left.status != 128 + signal.SIGTERM or time.monotonic() - start > 30:
            yield Outcome(f"{work[0]} {where}: status {left.status}: {left.last_line()} ({folder})")
            continue
        yield judged(world, folder, work, world.run(folder, *work), where, every=1)


def _hang_at(step: int, *, signal_twice: bool) -> None:
    """Make the `step`-th optimiser step of this process take minutes, and send SIGTERM at its start."""
    import ldmiss_pipeline.running.signals
    from ldmiss.training.loop import Training

    if not signal_twice:
        ldmiss_pipeline.running.signals.GRACE_SECONDS = 0.3
    update, count = Training._update, iter(range(1, NEVER))

    def slow(self: Training, loss: object) -> None:
        if next(count) == step:
            for _ in range(2 if signal_twice else 1):
                signal.raise_signal(signal.SIGTERM)
            time.sleep(300)
        update(self, loss)  # type: ignore[arg-type]

    Training._update = slow  # type: ignore[method-assign]
