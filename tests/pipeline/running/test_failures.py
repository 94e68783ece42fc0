"""A GPU that fails: one line and exit status 1, with the params to lower where memory was too small."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from support import tiny

from ldmiss.core import device_memory
from ldmiss.training.loop import Training
from ldmiss_pipeline.running import runner

CELL = ["--missing-rate", str(tiny.CELL.missing_rate), "--seed", str(tiny.CELL.seed)]
OUT_OF_MEMORY = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has ...")


def raises(error: Exception) -> Any:
    """A function that does."""

    def function(*args: Any, **kwargs: Any) -> Any:
        raise error

    return function


def line_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of a stage that fails, without what it starts with."""
    capsys.readouterr()
    assert runner.main(arguments) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    assert error.startswith(f"error: {arguments[0]}@")
    return error


@pytest.mark.parametrize(
    ("stage", "params"),
    [
        ("train_vae", "(vae.train.batch_size)"),
        ("train_diffputer", "(diffputer.em.train_first.batch_size, diffputer.em.train_next.batch_size)"),
    ],
)
def test_a_batch_too_large_for_the_device(
    stage: str, params: str, copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line names what to lower, as it is called in params.yaml."""
    monkeypatch.setattr(Training, "_update", raises(OUT_OF_MEMORY))
    line = line_of([stage, *CELL], capsys)
    assert f"the device's memory is too small for training steps of 16 items: lower batch_size {params}" in line


def test_a_chunk_too_large_for_the_device(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is halved, which the run's record says; where no row fits, the line names the param."""
    arguments = ["sample", *CELL, "--method", "ldmiss"]
    init = device_memory.RowsInPieces.__init__

    def with_room(room: int) -> None:
        def planted(self: Any, compute: Any, name: str) -> None:
            def limited(rows: slice) -> torch.Tensor:
                return raises(OUT_OF_MEMORY)() if rows.stop - rows.start > room else compute(rows)

            init(self, limited, name)

        monkeypatch.setattr(device_memory.RowsInPieces, "__init__", planted)

    with_room(room=3)
    assert runner.main(arguments) == 0
    error = capsys.readouterr().err
    assert "warning: sample-ldmiss: the device's memory is too small for" in error
    record = json.loads((copy / "runs/records.jsonl").read_text().splitlines()[-1])
    assert record["warnings"]
    assert all(f"warning: {text}\n" in error for text in record["warnings"])

    with_room(room=0)
    assert runner.main(arguments) == 1
    assert capsys.readouterr().err.endswith("too small for one row: lower chunk_size (sample.chunk_size)\n")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OUT_OF_MEMORY, "the device's memory is too small for what is computed in one piece"),
        (
            torch.AcceleratorError("CUDA error: an illegal memory access was encountered\nCUDA kernel errors ..."),
            "the GPU failed (CUDA error: an illegal memory access was encountered); run again, in a new process",
        ),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), "the GPU failed (cuDNN error: CUDNN_STATUS_EXEC"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"), "the GPU failed (CUDA error: CUBLAS_"),
    ],
)
def test_the_device_fails(
    error: RuntimeError,
    said: str,
    copy: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Wherever that happens, the stage ends: with one line, without a record."""
    records = (copy / "runs/records.jsonl").read_text()
    monkeypatch.setattr("stages.mask.run", raises(error))
    assert said in line_of(["mask", *CELL], capsys)
    assert (copy / "runs/records.jsonl").read_text() == records


def test_other_errors_keep_their_traceback(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shape that does not fit is a bug of ours."""
    monkeypatch.setattr("stages.mask.run", raises(RuntimeError("mat1 and mat2 shapes cannot be multiplied")))
    with pytest.raises(RuntimeError, match="mat1"):
        runner.main(["mask", *CELL])
