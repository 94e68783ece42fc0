"""The whole library on a CUDA device that does not exist: see `support.fake_cuda`."""

import os
from pathlib import Path

import pytest
from support.fake_cuda import run_cases, why_not

REQUIRED = "LDMISS_REQUIRE_FAKE_CUDA"
"""Environment variable that makes a skip a failure; `.ci/run` sets it."""


@pytest.mark.parametrize("marker", ["not slow", pytest.param("slow", marks=pytest.mark.slow)])
def test_on_fake_cuda(marker: str, tmp_path: Path) -> None:
    """What `fake_cuda_cases.py` holds, in a process of its own."""
    if reason := why_not():
        (pytest.fail if os.environ.get(REQUIRED) else pytest.skip)(reason)
    done = run_cases(tmp_path, marker)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
