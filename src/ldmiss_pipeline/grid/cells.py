"""The stages of a grid as its jobs have them: those of a cell, and those that all cells share."""

from pathlib import Path
from typing import Any

from ldmiss.errors import InputError
from ldmiss_pipeline.running.graph import Graph
from ldmiss_pipeline.running.pipeline import PIPELINE_FILE, Pipeline, StageItem, label_of


class Cells:
    """The stages of a pipeline by cell.

    Args:
        document: params.
        path: of dvc.yaml.

    Attributes:
        names: of the cells, `<missing_rate>-<seed>`, in the order of the grid.
    """

    def __init__(self, document: dict[str, Any], path: Path = PIPELINE_FILE) -> None:
        self._document, self._path, self._pipeline = document, path, Pipeline(document, path)
        self._items = {cell.cell: cell for cell in self._pipeline.cells()}
        self.names = list(self._items)

    def labels(self, name: str) -> list[str]:
        """The stages of one cell, without what it shares with others, in the order of dvc.yaml."""
        pipeline, cell = self._pipeline, self._items[name]
        items = ((stage, item) for stage in pipeline.stages for item in pipeline.items(stage, [cell]))
        return [label_of(stage, item) for stage, item in items if item.name]

    def shared(self) -> list[str]:
        """Labels of the stages without a cell that cells wait for."""
        graph, labels = self.graph(self.names[0]), self.labels(self.names[0])
        upstream = graph.upstream(labels)
        return [label for label in graph.before if label in upstream and label not in labels]

    def graph(self, name: str) -> Graph:
        """The graph of the stages of one cell and those without a cell."""
        return Graph(Pipeline(self.only(name), self._path))

    def stage_items(self, name: str) -> dict[str, StageItem]:
        """The items of one cell and those without a cell, by label."""
        producers = Pipeline(self.only(name), self._path).producers([self._items[name]])
        return {stage_item.label: stage_item for stage_item in producers.values()}

    def only(self, name: str) -> dict[str, Any]:
        """The params with a grid of this one cell: no stage of a cell reads the grid, so its results are the same."""
        cell = self._items[name]
        grid = self._document["grid"] | {"missing_rates": [cell.missing_rate], "seeds": [cell.seed]}
        train = self._document["train"]
        seeds = {model: [cell.seed] if seeds else [] for model, seeds in train["seeds"].items()}
        alone = {"missing_rate": None, "seed": None, "grid": grid, "train": train | {"seeds": seeds}}
        return self._document | alone

    def chosen(self, wanted: list[str] | None) -> list[str]:
        """The names of the wanted cells, all of them for None.

        Raises:
            InputError: a cell that the grid does not have.
        """
        if unknown := [name for name in wanted or [] if name not in self._items]:
            raise InputError(f"--cells: {unknown[0]} is not in the grid of params.yaml, which has {_few(self.names)}")
        return [name for name in self.names if wanted is None or name in wanted]


def _few(names: list[str]) -> str:
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
