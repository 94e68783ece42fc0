"""Obtain the raw data set, verified: the files, and that the later stages can do with such images and labels."""

from ldmiss_pipeline.artifacts.paths import RAW
from ldmiss_pipeline.datasets.registry import DATASETS, load_split
from ldmiss_pipeline.running.context import Context


def run(context: Context) -> str:
    """Write `data/raw/<dataset>`."""
    name = context.params.dataset.name
    DATASETS[name].download(RAW / name)
    sizes = {split: len(load_split(name, RAW, split).labels) for split in ("train", "test")}
    return f"{name}: {sizes['train']} training and {sizes['test']} test images"
