"""Obtain the raw data set, verified."""

from ldmiss_pipeline.artifacts.paths import RAW
from ldmiss_pipeline.datasets.registry import DATASETS
from ldmiss_pipeline.running.context import Context


def run(context: Context) -> str:
    """Write `data/raw/<dataset>`."""
    name = context.params.dataset.name
    DATASETS[name].download(RAW / name)
    sizes = {split: len(DATASETS[name].load(RAW / name, split).labels) for split in ("train", "test")}
    return f"{name}: {sizes['train']} training and {sizes['test']} test images"
