"""Obtain the raw data set, verified: the files, and that they hold what the later stages can do."""

from pathlib import Path

from ldmiss_pipeline.artifacts.paths import RAW
from ldmiss_pipeline.datasets.own import import_own
from ldmiss_pipeline.datasets.registry import DATASETS, load_split
from ldmiss_pipeline.running.context import Context


def run(context: Context) -> str:
    """Write `data/raw/<dataset>`."""
    params = context.params.dataset
    folder, download = RAW / params.name, DATASETS[params.name].download
    if download is not None:
        download(folder)
    else:
        import_own(
            folder, Path(params.path),
            missing_value=params.missing_value, mask=params.mask, bounds=params.bounds,
            num_held_out=params.num_held_out,
        )  # fmt: skip
    train, test = (load_split(params.name, RAW, split) for split in ("train", "test"))
    of_tests = "test images" if test.rows is None else "of them with held-out pixels"
    return f"{params.name}: {len(train.images)} training images, {len(test.images)} {of_tests}"
