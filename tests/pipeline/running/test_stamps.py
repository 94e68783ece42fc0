"""Wrong pairings are refused by name: models, samples and latents of other cells or other params."""

import shutil
from pathlib import Path

import pytest
import torch
import yaml
from support import tiny

from ldmiss.errors import InputError
from ldmiss.files.tensors import load_tensors, save_tensors
from ldmiss_pipeline.artifacts.paths import OBSERVED_TEST, Item
from ldmiss_pipeline.running import runner

OTHER = Item(0.8, 42)


def test_a_model_of_another_cell_is_refused(copy: Path) -> None:
    """Copied into the place of this cell's, it says where it is from."""
    grid = {"missing_rates": [0.5, 0.8], "seeds": [42]}
    (copy / "params.yaml").write_text(yaml.safe_dump(tiny.document(grid=grid)))
    for stage in ("mask", "train_ddpm"):
        runner.run_stage(stage, OTHER)
    shutil.copy(OTHER.model("ddpm"), tiny.CELL.model("ddpm"))
    with pytest.raises(InputError, match=r"ddpm/0\.5-42\.safetensors: made by train_ddpm@0\.8-42, expected one of"):
        runner.run_stage("sample", Item(0.5, 42, "ddpm"))
    shutil.copy(OTHER.observed(), OBSERVED_TEST)
    with pytest.raises(InputError, match=r"observed/test\.npz: made by mask@0\.8-42, expected one of mask_test"):
        runner.run_stage("evaluate", tiny.CELL)


def test_inputs_made_with_other_params_are_refused(copy: Path) -> None:
    """A stale model is named with the command that makes it again."""
    (copy / "params.yaml").write_text(yaml.safe_dump(tiny.document(ddpm={"train": {"lr": 0.01}})))
    with pytest.raises(InputError, match=r"other params than train_ddpm@0\.5-42 has now; .*`dvc repro train_ddpm@0"):
        runner.run_stage("sample", Item(0.5, 42, "ddpm"))


def test_samples_and_cells_of_other_params_are_refused(copy: Path) -> None:
    """Folders are looked into; the cell's JSON has its stamp, too."""
    (copy / "params.yaml").write_text(yaml.safe_dump(tiny.document(sample={"chunk_size": 7})))
    with pytest.raises(InputError, match=r"samples/0\.5-42/\w+\.npz: made with other params"):
        runner.run_stage("evaluate", tiny.CELL)
    (copy / "params.yaml").write_text(yaml.safe_dump(tiny.document(evaluate={"fid_layer": "logits"})))
    with pytest.raises(InputError, match=r"cells/0\.5-42\.(json|npz): made with other params"):
        runner.run_stage("plot", Item())


def test_latents_of_another_vae_are_refused(copy: Path) -> None:
    """The scale in their file belongs to the VAE whose digest it names."""
    path = tiny.CELL.model("vae")
    tensors, metadata = load_tensors(path, kind="vae")
    name = next(name for name, value in tensors.items() if value.dtype == torch.float32 and value.numel() > 1)
    tensors[name] += 1
    save_tensors(path, tensors, kind="vae", metadata=metadata)
    with pytest.raises(InputError, match=r"latents/0\.5-42\.safetensors: latents and scale of another VAE"):
        runner.run_stage("train_ldm", tiny.CELL)
