"""The tiny project that faults are tried on: its clean run, copies of it in which one item is still to be made."""

import hashlib
import itertools
import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml
from support import tiny

import ldmiss_pipeline.running.checkpoint
from faults.events import Events, Stop, counted, install
from faults.forked import Ended, Forked
from ldmiss_pipeline.artifacts.paths import Item
from ldmiss_pipeline.running.pipeline import Pipeline

LONGER: dict[str, Any] = {
    "classifier": {"train": {"epochs": 4}},
    "vae": {"train": {"epochs": 4}},
    "ldmiss": {"train": {"epochs": 4}},
    "ddpm": {"train": {"epochs": 4}},
    "diffputer": {"em": {"num_iterations": 3, "e_step": {"chunk_size": 8}}},
    "sample": {"chunk_size": 2},
    "impute": {"chunk_size": 4},
}
"""More steps and chunks than the tiny project of the other tests, for more places to be killed at."""

Sabotage = Callable[[], None]
"""Breaks the code in a forked process, to see that the harness finds it."""


class World:
    """A finished tiny project, and copies of it."""

    def __init__(self, folder: Path, clean: Path, sabotage: Sabotage | None = None) -> None:
        self.folder, self.clean, self.sabotage = folder, clean, sabotage
        self._numbers = itertools.count()
        self._counts: dict[tuple[Any, ...], Counter[str]] = {}

    def fresh(self, stage: str, item: Item) -> Path:
        """A copy in which everything has run but this item, whose outs are not there (DVC removes them, too)."""
        folder = self.folder / f"try-{next(self._numbers)}"
        ignored = shutil.ignore_patterns("ckpt", "runs", ".*.tmp")
        shutil.copytree(self.clean, folder, symlinks=True, copy_function=os.link, ignore=ignored)
        for out in self.outs(stage, item):
            shutil.rmtree(folder / out) if (folder / out).is_dir() else (folder / out).unlink()
        return folder

    def outs(self, stage: str, item: Item) -> list[Path]:
        """The outs that `dvc.yaml` declares for an item."""
        before = Path.cwd()
        os.chdir(self.clean)
        try:
            return Pipeline(yaml.safe_load(Path("params.yaml").read_text())).stage_item(stage, item).outs
        finally:
            os.chdir(before)

    def start(
        self, folder: Path, stage: str, item: Item, *, stop: Stop | None = None, every: int = 1,
        under_dvc: bool = False, at_a_time: int = 1, prepare: Callable[[], None] = lambda: None,
    ) -> Forked:  # fmt: skip
        """Start the item in a copy.

        Args:
            stop: where it kills itself.
            every: units of work between two checkpoints.
            under_dvc: with the environment variable that DVC sets.
            at_a_time: chunks computed side by side. With more than one, `every` has to be 0: the clock is no one's own.
            prepare: called in the child just before the stage.
        """

        def all_prepared() -> None:
            events = Events(folder / ".events", stop)
            install(events, at_a_time=at_a_time)
            # A second passes with each unit of work, so that the pace of the checkpoints is that asked for.
            ldmiss_pipeline.running.checkpoint.time = SimpleNamespace(monotonic=lambda: float(events.units))  # type: ignore[assignment]
            if self.sabotage is not None:
                self.sabotage()
            prepare()

        environment = {"LDMISS_CHECKPOINT_SECONDS": str(every)}
        environment |= {"DVC_STAGE": stage} if under_dvc else {}
        return Forked(folder, stage, item, prepare=all_prepared, environment=environment)

    def run(self, folder: Path, stage: str, item: Item, **options: Any) -> Ended:
        """As `start`, to its end."""
        return self.start(folder, stage, item, **options).wait()

    def counts(self, stage: str, item: Item, **options: Any) -> Counter[str]:
        """How often each event happens in a run of the item that nothing stops."""
        key = (stage, item, *sorted(options.items()))
        if key not in self._counts:
            folder = self.fresh(stage, item)
            ended = self.run(folder, stage, item, **options)
            if ended.status != 0:
                raise RuntimeError(f"{stage}@{item.name} fails without any fault: {ended.output}")
            self._counts[key] = counted(folder / ".events")
            shutil.rmtree(folder)
        return self._counts[key]

    def difference(self, folder: Path, stage: str, item: Item, *, checkpoint_left: bool = False) -> str | None:
        """What differs from the clean run after the item has succeeded, in one line; None where nothing does."""
        outs = self.outs(stage, item)
        made, expected = ({out: _contents(place / out) for out in outs} for place in (folder, self.clean))
        wrong = [str(out) for out in outs if made[out] != expected[out]]
        if wrong:
            return f"other than in the clean run: {', '.join(wrong)}"
        left = [path.name for path in folder.rglob(".*.tmp")]
        left += [] if checkpoint_left else [path.name for path in folder.glob("ckpt/*")]
        return f"left behind: {', '.join(left)}" if left else None


def clean_project(folder: Path) -> Path:
    """A tiny project in which every stage ran once, in forked processes, without a checkpoint."""
    project = tiny.make_project(folder, tiny.digits(), **LONGER)
    for stage, item in tiny.ITEMS:
        ended = Forked(project, stage, item, prepare=lambda: None, environment={}).wait()
        if ended.status != 0:
            raise RuntimeError(f"{stage}@{item.name} fails without any fault: {ended.output}")
    return project


def _contents(path: Path) -> dict[str, str]:
    """Hash of the file, or of each file in the folder."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.is_file()
    }
