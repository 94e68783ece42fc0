"""Which stage has to run before which: the graph that `dvc.yaml` describes, over the items of the grid."""

from collections.abc import Iterable
from graphlib import TopologicalSorter

from ldmiss.errors import InputError
from ldmiss_pipeline.running.pipeline import Pipeline, StageItem


class Graph:
    """The items of a pipeline's stages by label, each with those that it waits for.

    Attributes:
        items: label -> item.
        before: label -> labels of the items whose outs it reads; in the order of `dvc.yaml`.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        stage_items = pipeline.stage_items(pipeline.cells())
        producers = {out: stage_item for stage_item in stage_items for out in stage_item.outs}
        # A dependency is an out, a file inside one, or a folder with outs of several works in it.
        inside: dict[str, set[str]] = {}
        for out, stage_item in producers.items():
            for folder in out.parents:
                inside.setdefault(str(folder), set()).add(stage_item.label)
        self.items: dict[str, StageItem] = {item.label: item for item in stage_items}
        self.before: dict[str, set[str]] = {}
        for stage_item in stage_items:
            makers = {
                producers[path].label for dep in stage_item.deps for path in (dep, *dep.parents) if path in producers
            }
            self.before[stage_item.label] = makers.union(*(inside.get(str(dep), set()) for dep in stage_item.deps))

    def upstream(self, labels: Iterable[str]) -> set[str]:
        """The labels and all that they wait for, directly or not.

        Raises:
            InputError: no item of the pipeline has such a label.
        """
        for label in labels:
            if label not in self.before:
                raise InputError(f"{label}: no stage of this pipeline; allowed: {', '.join(self.before)}")
        return _reachable(labels, self.before)

    def downstream(self, labels: Iterable[str]) -> set[str]:
        """The labels and all that wait for them, directly or not."""
        return _reachable(labels, self._after())

    def chains(self) -> dict[str, int]:
        """Label -> works in the longest chain that begins with it."""
        after, lengths = self._after(), dict[str, int]()
        for label in reversed(list(TopologicalSorter(self.before).static_order())):
            lengths[label] = 1 + max((lengths[other] for other in after[label]), default=0)
        return lengths

    def _after(self) -> dict[str, set[str]]:
        after: dict[str, set[str]] = {label: set() for label in self.before}
        for label, others in self.before.items():
            for other in others:
                after[other].add(label)
        return after


def _reachable(labels: Iterable[str], edges: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    left = list(labels)
    while left:
        label = left.pop()
        if label not in found:
            found.add(label)
            left.extend(edges[label])
    return found
