"""Obtain the raw data set, verified."""

from stages.context import Context
from stages.datasets import DATASETS
from stages.paths import RAW


def run(context: Context) -> str:
    """Write `data/raw/<dataset>`."""
    name = context.params.dataset.name
    DATASETS[name].download(RAW / name)
    sizes = {split: len(DATASETS[name].load(RAW / name, split).labels) for split in ("train", "test")}
    return f"{name}: {sizes['train']} training and {sizes['test']} test images"
