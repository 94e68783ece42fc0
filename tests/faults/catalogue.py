"""Every fault that is tried, with how often."""

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

from faults import clocks, damage, disks, dvc_cache, dvc_kills, leaving, twice
from faults.kills import DIFFPUTER, EVERY_STAGE, INFERENCE, TRAINING, VAE, Work, at_events, at_random_times
from faults.outcome import Outcome

Try = Callable[[Any, int, Random], Iterator[Outcome]]
"""(World or Clones, tries, random) -> outcomes."""


@dataclass(frozen=True)
class Fault:
    """One row of the table.

    Attributes:
        name: for `--only`.
        tries: how often it is tried.
        words: for the table.
        run: tries it.
    """

    name: str
    tries: int
    words: str
    run: Try


def _at(works: list[Work], *events: str, **options: Any) -> Try:
    return partial(at_events, works=works, events=list(events), **options)


def _loops() -> Iterator[Fault]:
    for work in TRAINING:
        if work != DIFFPUTER:
            words = f"SIGKILL in the training loop of {work[0]}"
            yield Fault(f"kill-{work[0]}", 8, words, _at([work], "step", "stepped", in_a_row=3))
    for name, tries, words, events in (
        ("m-step", 8, "in an M-step of train_diffputer", ("step", "stepped")),
        ("e-step", 8, "in an E-step of train_diffputer", ("chunk", "chunked")),
        ("between", 4, "between two EM iterations", ("before drop", "after drop")),
    ):
        yield Fault(f"kill-{name}", tries, f"SIGKILL {words}", _at([DIFFPUTER], *events, in_a_row=3))
    for stage, tries in (("sample", 9), ("impute", 12)):
        works = [work for work in INFERENCE if work[0] == stage]
        words = f"SIGKILL in the chunk loop of {stage}"
        yield Fault(f"kill-{stage}", tries, words, _at(works, "chunk", "chunked", in_a_row=3))

    words = "SIGKILL with three chunks side by side, in their loop and while they are saved"
    events = ("chunk", "chunked", "checkpoint half written", "after checkpoint rename")
    yield Fault("kill-side-by-side", 16, words, _at([DIFFPUTER, *INFERENCE], *events, in_a_row=3, at_a_time=3))


def _files() -> Iterator[Fault]:
    words = "SIGKILL while a checkpoint is written, just before and just after its rename"
    events = ("checkpoint half written", "before checkpoint rename", "after checkpoint rename")
    yield Fault("kill-checkpoint", 24, words, _at([*TRAINING, INFERENCE[0], INFERENCE[-1]], *events))
    words = "SIGKILL while an out is written, before and after its rename, between two outs"
    events = ("out half written", "before out rename", "after out rename")
    yield Fault("kill-outs", 36, words, _at(EVERY_STAGE, *events))
    words = "SIGKILL before and after the checkpoint is removed, the outs written"
    yield Fault("kill-removal", 6, words, _at([VAE, DIFFPUTER, INFERENCE[0]], "before remove", "after remove"))
    words = "SIGKILL while a finished stage is marked, for its checkpoint to stay until DVC's commit"
    events = ("checkpoint half written", "before checkpoint rename", "after checkpoint rename")
    yield Fault("kill-keeping", 6, words, _at([VAE, INFERENCE[4]], *events, under_dvc=True))
    words = "SIGKILL at a random moment of any training or inference"
    yield Fault("kill-random", 12, words, partial(at_random_times, works=[*TRAINING, *INFERENCE]))


def _others() -> Iterator[Fault]:
    for name, number in (("sigterm", signal.SIGTERM), ("ctrl-c", signal.SIGINT)):
        words = f"{number.name} to the process group in a loop: exit status {128 + number}, nothing redone"
        yield Fault(name, 8, words, partial(leaving.asked_in_the_loop, number=number))
    yield Fault("sigterm-outs", 12, "SIGTERM while any stage writes its outs", leaving.asked_anywhere)
    words = "SIGTERM in a step that takes minutes: leaves after the grace, at once when sent twice"
    yield Fault("sigterm-long", 6, words, leaving.asked_in_a_long_piece)
    for name in damage.DAMAGES:
        words = f"checkpoint {name}, after a SIGKILL: refused with a warning"
        yield Fault(f"checkpoint-{name.split()[-1]}", 6, words, partial(damage.damaged, damage=name))
    words = "checkpoint of other params, after a SIGKILL: left aside with a warning"
    yield Fault("checkpoint-params", 3, words, damage.params_changed_between)
    yield Fault("full-model", 4, "disk full under a model", disks.full_under_the_model)
    yield Fault("full-checkpoint", 4, "disk full under the checkpoints", disks.full_under_the_checkpoint)
    yield Fault("stage-twice", 6, "a second process of an item that is running: refused", twice.stage_twice)
    words = f"clock {clocks.DAYS} days behind after a SIGKILL (Python's `time.time`)"
    yield Fault("clock", 6, words, clocks.set_back_in_stages)


def _on_clones() -> Iterator[Fault]:
    words = "`dvc repro`: SIGKILL of the process group at a random moment"
    yield Fault("dvc-kill-random", 6, words, dvc_kills.at_random_times)
    yield Fault("dvc-kill-loop", 4, "`dvc repro`: SIGKILL in a stage's loop", dvc_kills.in_the_loop)
    words = "`dvc repro`: SIGKILL during DVC's commit; nothing redone"
    yield Fault("dvc-kill-commit", 8, words, dvc_kills.during_commit)
    words = "`dvc repro`: the same in a new clone whose dvc.lock names these outs already"
    yield Fault("dvc-kill-same", 3, words, dvc_kills.during_a_commit_of_the_same)
    words = "`dvc repro`: SIGKILL while DVC rewrites dvc.lock or its rwlock; then what its message asks for"
    yield Fault("dvc-kill-file", 4, words, dvc_kills.in_the_middle_of_a_file)
    words = "`dvc repro`: SIGKILL of `dvc` alone, its stage going on: another is refused, then nothing redone"
    yield Fault("dvc-kill-alone", 2, words, dvc_kills.dvc_alone)
    words = "`dvc repro`: SIGTERM or Ctrl-C to the process group in a stage's loop; nothing redone"
    yield Fault("dvc-leave", 2, words, dvc_kills.asked_to_leave)
    words = "`dvc repro`: disk full under DVC's cache; with room, nothing redone"
    yield Fault("dvc-full", 2, words, disks.full_under_the_cache)
    words = "`dvc repro`: DVC's cache read-only; once writable, nothing redone"
    yield Fault("dvc-read-only", 2, words, disks.read_only_cache)
    yield Fault("dvc-twice", 4, "two `dvc repro` at once in one workspace", twice.repro_twice)
    words = f"`dvc repro`: clock {clocks.DAYS} days behind after a SIGKILL (libfaketime)"
    yield Fault("dvc-clock-between", 2, words, clocks.set_back_between_runs)
    words = f"`dvc repro`: clock set back {clocks.DAYS} days during the training (libfaketime)"
    yield Fault("dvc-clock-during", 2, words, clocks.set_back_in_a_run)
    words = "a bit flipped in DVC's cache and handed out: named by the stage that reads it, mended as it says"
    yield Fault("dvc-corrupted", 2, words, dvc_cache.corrupted_object)


STAGE_FAULTS = [*_loops(), *_files(), *_others()]
"""On the stages of a tiny project, in forked processes; a kill in a loop comes up to three times in a row."""

CLONE_FAULTS = list(_on_clones())
"""On real clones, with real `dvc repro`."""
