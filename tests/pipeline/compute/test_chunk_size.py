"""`chunk_size: auto`: one number per stage and kind of device, noted in the record, without effect on the results."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from support import tiny
from support.imports import ROOT

from ldmiss.files.tensors import load_tensors
from ldmiss_pipeline.artifacts.arrays import load_arrays
from ldmiss_pipeline.compute import device as runtime
from ldmiss_pipeline.compute.chunk_size import CHUNK_SIZES, rows_at_a_time
from ldmiss_pipeline.compute.device import Runtime
from ldmiss_pipeline.config import params
from ldmiss_pipeline.config.compose import composed
from ldmiss_pipeline.config.registry import METHODS

AUTO: dict[str, Any] = {
    "sample": {"chunk_size": "auto"},
    "impute": {"chunk_size": "auto"},
    "diffputer": {"em": {"e_step": {"chunk_size": "auto"}}},
}


@pytest.mark.parametrize("device", CHUNK_SIZES)
@pytest.mark.parametrize("stage", ["sample", "impute", "train_diffputer"])
def test_what_auto_resolves_to(device: str, stage: str) -> None:
    """By device and stage alone; a declared number is kept."""
    assert rows_at_a_time(device, stage, "auto", 784) == CHUNK_SIZES[device][stage]
    assert rows_at_a_time(device, stage, 7, 784) == 7
    assert CHUNK_SIZES["cuda"][stage] > CHUNK_SIZES["cpu"][stage]


@pytest.mark.parametrize(("num_pixels", "number"), [(88, 200), (784, 200), (32 * 32, 153), (112 * 92, 15), (10**7, 1)])
def test_larger_images_are_fewer_at_a_time(num_pixels: int, number: int) -> None:
    """In proportion, one at least; smaller ones are not more. `complete` takes as many as `impute`."""
    assert rows_at_a_time("cpu", "sample", "auto", num_pixels) == number
    assert rows_at_a_time("cpu", "sample", 7, num_pixels) == 7
    completing, imputing = (rows_at_a_time("cpu", stage, "auto", num_pixels) for stage in ("complete", "impute"))
    assert completing == imputing


def test_auto_by_method() -> None:
    """Where a GPU has a number for the method, that; a CPU has none."""
    assert rows_at_a_time("cuda", "impute", "auto", 784, "ldmiss") > rows_at_a_time(
        "cuda", "impute", "auto", 784, "ddpm"
    )
    assert rows_at_a_time("cuda", "impute", "auto", 784, "ddpm") == CHUNK_SIZES["cuda"]["impute"]
    assert rows_at_a_time("cuda", "impute", 7, 784, "ldmiss") == 7
    assert {rows_at_a_time("cpu", "impute", "auto", 784, method) for method in METHODS} == {
        CHUNK_SIZES["cpu"]["impute"]
    }
    known = {f"{stage} {method}" for stage in CHUNK_SIZES["cpu"] for method in METHODS} | CHUNK_SIZES["cpu"].keys()
    assert CHUNK_SIZES["cuda"].keys() <= known


@pytest.mark.parametrize(
    ("device", "num_threads", "cores", "number"),
    [("cpu", 1, 1, 1), ("cpu", 1, 2, 2), ("cpu", 1, 64, 2), ("cpu", 2, 3, 1), ("cpu", 4, 2, 1), ("cuda", 1, 64, 1)],
)
def test_chunks_at_a_time(
    device: str, num_threads: int, cores: int, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two where that fills the cores of a CPU, else one."""
    monkeypatch.setattr(runtime, "num_cores", lambda: cores)
    assert Runtime(torch.device(device), torch.float32, num_threads, deterministic=True).num_at_a_time == number


@pytest.mark.parametrize("choice", ["paper", "paper diffputer=official", "quick", "lite", "smoke"])
def test_the_paper_profile_leaves_it_to_us(choice: str) -> None:
    """All three; quick, lite and smoke name their numbers."""
    typed = params.validate(yaml.safe_load(composed(f"profile={choice}".split(), ROOT)), choice)
    sizes = (typed.sample.chunk_size, typed.impute.chunk_size, typed.diffputer.em.e_step.chunk_size)
    assert all((size == "auto") == (typed.profile == "paper") for size in sizes)


def test_auto_in_the_stages(project: Path, tmp_path: Path) -> None:
    """The record says what it was, and samples, draws and the EM are those of any other size, up to rounding."""
    other = tmp_path / "other"
    shutil.copytree(project, other, symlinks=True)
    (other / "params.yaml").write_text(yaml.safe_dump(tiny.document(**AUTO)))
    (other / "runs/records.jsonl").unlink()
    tiny.run(other, lambda stage: stage in CHUNK_SIZES["cpu"])
    used = {
        record["stage"]: record.get("chunk_size")
        for record in map(json.loads, (other / "runs/records.jsonl").read_text().splitlines())
    }
    assert {stage: size for stage, size in used.items() if size is not None} == CHUNK_SIZES["cpu"]
    for path in (project / "data/samples").rglob("*.npz"):
        expected, found = (load_arrays(root / path.relative_to(project), "images")[0] for root in (project, other))
        np.testing.assert_allclose(found.astype(float), expected.astype(float), atol=2e-3)
    model = tiny.CELL.model("diffputer")
    expected_weights, found_weights = (load_tensors(root / model, kind="diffputer")[0] for root in (project, other))
    for name, weights in expected_weights.items():
        np.testing.assert_allclose(found_weights[name].numpy(), weights.numpy(), atol=1e-4)
