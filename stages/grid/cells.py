"""The stages of a grid as its jobs have them: those of a cell, and those that all cells share."""

from graphlib import TopologicalSorter
from pathlib import Path

from ldmiss.errors import InputError
from stages.paths import Item
from stages.work import Pipeline, Work


class Cells:
    """The works of a pipeline by cell, each after those whose outs it reads.

    Attributes:
        names: of the cells, `<missing_rate>-<seed>`, in the order of the grid.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._items = {cell.cell: cell for cell in pipeline.cells()}
        self.names = list(self._items)

    def works(self, name: str) -> list[Work]:
        """Of one cell, without what it shares with others."""
        return [work for work in self._sorted([self._items[name]]) if work.item.name]

    def shared(self) -> list[Work]:
        """The works without a cell that cells depend on."""
        works = self._sorted(list(self._items.values())[:1])
        read = {dep for work in works if work.item.name for dep in work.deps}
        needed: list[Work] = []
        for work in reversed(works):
            if not work.item.name and any(_overlap(out, dep) for out in work.outs for dep in read):
                needed.insert(0, work)
                read |= set(work.deps)
        return needed

    def chosen(self, wanted: list[str] | None) -> list[str]:
        """The names of the wanted cells, all of them for None.

        Raises:
            InputError: a cell that the grid does not have.
        """
        if unknown := [name for name in wanted or [] if name not in self._items]:
            raise InputError(f"--cells: {unknown[0]} is not in the grid of params.yaml, which has {_few(self.names)}")
        return [name for name in self.names if wanted is None or name in wanted]

    def _sorted(self, cells: list[Item]) -> list[Work]:
        producers = self._pipeline.producers(cells)
        works = {work.label: work for work in producers.values()}
        before = {
            label: [made.label for out, made in producers.items() if any(_overlap(out, dep) for dep in work.deps)]
            for label, work in works.items()
        }
        return [works[label] for label in TopologicalSorter(before).static_order()]


def _overlap(out: Path, dep: Path) -> bool:
    return out == dep or dep in out.parents or out in dep.parents


def _few(names: list[str]) -> str:
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
