"""Shared by all tests: one thread, so that times and sums do not depend on the cores; a tiny finished project."""

import os
from pathlib import Path
from typing import Any

from support import tiny

# Read when torch is loaded. Threads that wait would otherwise keep a core busy: ten times slower on a shared machine.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import pytest
import torch
from hypothesis import settings
from support import (
    cases,  # noqa: F401 - registers the profiles of hypothesis
)

torch.set_num_threads(1)
settings.load_profile("fixed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is marked `gpu` needs one."""
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture(scope="session")
def raw() -> dict[str, Any]:
    """The tiny data set."""
    return tiny.digits()


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory, raw: dict[str, Any]) -> Path:
    """A tiny project in which every stage has run. A test that changes anything works on a copy."""
    folder = tiny.make_project(tmp_path_factory.mktemp("tiny") / "project", raw)
    tiny.run(folder)
    return folder
