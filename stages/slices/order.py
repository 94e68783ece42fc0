"""What is left to do, in which order: parts of cells, each a chain of steps from the raw data to its metrics.

A part is one seed, one group of methods and one missing rate. All rates of a group come before the next group, and all
groups of a seed before the next seed: so the first curve over the rates is there early.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stages.paths import Item
from stages.work import Pipeline, Work

GROUPS = (("ldmiss", "baselines"), ("ddpm",), ("diffputer",))
"""Methods that share a training, in the order of their turn; a method not named here comes last, alone."""
_MEASURED = ("sample", "impute")


@dataclass(frozen=True)
class Step:
    """One thing to do: run a work, or measure what it made."""

    work: Work
    measure: bool = False

    @property
    def stage(self) -> str:
        """The stage, or "measure"."""
        return "measure" if self.measure else self.work.stage

    @property
    def label(self) -> str:
        """A name of its own for each step."""
        return f"measure {self.work.label}" if self.measure else self.work.label


@dataclass(frozen=True)
class Part:
    """The images of a group of methods in one cell.

    Attributes:
        cell: missing rate and seed.
        methods: that the params ask for, of one group.
        targets: the works whose outs are measured.
    """

    cell: Item
    methods: tuple[str, ...]
    targets: list[Work]

    @property
    def name(self) -> str:
        """For people: `0.5-42 ldmiss+baselines`."""
        return f"{self.cell.cell} {'+'.join(self.methods)}"


class Order:
    """The parts of a grid, and the steps that each still needs.

    Args:
        pipeline: with the params document.
        has_ended: whether a work's outs are there.
        is_measured: whether a target's metrics are there.
    """

    def __init__(
        self, pipeline: Pipeline, *, has_ended: Callable[[Work], bool], is_measured: Callable[[Work], bool]
    ) -> None:
        self.pipeline, self._has_ended, self._is_measured = pipeline, has_ended, is_measured
        self._producers = pipeline.producers(pipeline.cells())
        self._measuring = {cell: pipeline.work("evaluate", cell).deps for cell in pipeline.cells()}
        self.parts = list(_parts(pipeline))

    def steps(self, part: Part) -> list[Step]:
        """What a part still needs, in order; none where it is done."""
        steps: dict[str, Step] = {}
        for target in part.targets:
            if not self._is_measured(target):
                chain = [*self._chain(target), *self._to_measure(part.cell)]
                for step in [*map(Step, chain), Step(target, measure=True)]:
                    steps.setdefault(step.label, step)
        return list(steps.values())

    def producer(self, path: Path) -> Work | None:
        """The work that makes a file."""
        return next((self._producers[out] for out in (path, *path.parents) if out in self._producers), None)

    def needed(self, available: Callable[[Path], bool]) -> list[Path]:
        """The files among the available ones that the steps left begin from, in the order of the parts."""
        paths = (dep for part in self.parts for step in self.steps(part) for dep in step.work.deps)
        return list(dict.fromkeys(path for path in paths if available(path)))

    def _chain(self, work: Work) -> list[Work]:
        """The works to run for the outs of this one, itself last; none where they are there."""
        if self._has_ended(work):
            return []
        before = [made for dep in work.deps if (producer := self.producer(dep)) for made in self._chain(producer)]
        return [*before, work]

    def _to_measure(self, cell: Item) -> list[Work]:
        """What measuring reads beside the target's images: raw data, classifier, the incomplete test images."""
        deps = self._measuring[cell]
        return [work for dep in deps if (producer := self.producer(dep)) for work in self._chain(producer)]


def _parts(pipeline: Pipeline) -> Iterator[Part]:
    cells = pipeline.cells()
    items = {stage: pipeline.items(stage, cells) for stage in _MEASURED}
    methods = list(dict.fromkeys(str(item.method) for stage in _MEASURED for item in items[stage]))
    for seed in dict.fromkeys(cell.seed for cell in cells):
        for group in _groups(methods):
            for cell in (cell for cell in cells if cell.seed == seed):
                wanted = [Item(cell.missing_rate, seed, method) for method in group]
                targets = [pipeline.work(stage, item) for item in wanted for stage in _MEASURED if item in items[stage]]
                yield Part(cell, group, targets)


def _groups(methods: Sequence[str]) -> list[tuple[str, ...]]:
    groups = [tuple(method for method in group if method in methods) for group in GROUPS]
    known = {method for group in GROUPS for method in group}
    return [group for group in groups if group] + [(method,) for method in methods if method not in known]
