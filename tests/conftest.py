"""Settings shared by all tests: one thread, so that times and float sums do not depend on the machine's cores.

And one project that several files start from, because making it takes seconds.
"""

import shutil
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

from stages.paths import RAW

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def raw_digits() -> dict[str, Any]:
    """The tiny raw data set."""
    return tiny.digits()


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, raw_digits: dict[str, Any]) -> Path:
    """A project in which every stage up to `impute` has run, DiffPuter with early stopping; read only.

    After `mask` the raw digits are deleted: the truth behind missing pixels is not there to be read.
    """
    folder = tiny.make_project(tmp_path_factory.mktemp("trained") / "project", raw_digits, diffputer=tiny.EARLY_STOP)
    tiny.run(folder, lambda stage: stage == "mask")
    shutil.rmtree(folder / RAW)
    tiny.run(folder, lambda stage: stage in (*tiny.TRAINED, "impute"))
    return folder
