"""Every switch of docs/fidelity.md in its real place: each choice runs its stage and changes what the stage makes."""

import shutil
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from support import tiny

from ldmiss.errors import InputError
from ldmiss.files.tensors import load_metadata, load_tensors, save_tensors
from ldmiss_pipeline.artifacts.observed import load_observed, save_observed
from ldmiss_pipeline.artifacts.paths import OBSERVED_TEST, Item
from ldmiss_pipeline.config.schema.methods import Sampler
from stages.impute import refuse_other_dataset

MATCHING = {"sampler": "ddim", "num_steps": 3, "num_iterations": 1, "noise_sd": 0.1, "t_start": 0.5}
SWITCHES: list[tuple[str, str, Any]] = [
    ("train_ddpm", "missing.fill", "grey"),
    ("train_ddpm", "missing.fill", "mean"),
    ("train_vae", "missing.fill", "grey"),
    ("train_vae", "missing.fill", "mean"),
    ("train_vae", "vae.encoder_input", "robust"),
    ("train_vae", "dataset.range", "unit"),
    ("train_ddpm", "dataset.range", "unit"),
    ("encode_latents", "latents.source", "sample"),
    ("encode_latents", "latents.scale", "per_channel"),
    ("encode_latents", "latents.scale", "none"),
    ("train_ldm", "ldmiss.loss.weighting", "likelihood"),
    ("train_ldm", "ldmiss.network.resampling", "conv"),
    ("train_ldm", "ldmiss.network.mid_attention", False),
    ("train_ldm", "ldmiss.train.ema_decay", None),
    ("train_ddpm", "ddpm.loss.weighting", "likelihood"),
    ("train_ddpm", "ddpm.loss.normalizer", "batch"),
    ("train_ddpm", "ddpm.network.resampling", "conv"),
    ("train_ddpm", "ddpm.network.mid_attention", True),
    ("train_ddpm", "ddpm.train.grad_clip", 0.1),
    ("train_ddpm", "ddpm.train.lr_schedule", "constant"),
    ("train_diffputer", "diffputer.normalize", "global"),
    ("train_diffputer", "diffputer.em.e_step.num_trials", 1),
    ("train_diffputer", "diffputer.em.warm_start", False),
    ("train-regression", "regression.train.min_kept", 0.8),
    ("train-regression", "regression.train.network.patch_size", 1),
    ("train-conditional", "conditional.train.min_kept", 0.8),
    ("train-conditional", "conditional.train.diffusion.tau", 0.01),
    ("calibrate", "posterior.calibrate.min_kept", 0.5),
    ("calibrate", "posterior.calibrate.num_images", 11),
    ("calibrate", "posterior.calibrate.sampling.t_start", 0.5),
    ("calibrate", "posterior.calibrate.sampling.num_iterations", 1),
    ("train-miwae", "miwae.train.num_samples", 1),
    ("train-em_diffusion", "em_diffusion.train.num_iterations", 1),
    ("train-em_diffusion", "em_diffusion.train.e_step.num_iterations", 2),
    ("train-em_diffusion", "em_diffusion.train.e_step.noise_sd", 0.1),
    ("impute-em_diffusion", "em_diffusion.impute.noise_sd", 0.1),
    ("impute-miwae", "miwae.impute.num_samples", 8),
    ("impute-conditional", "conditional.impute.sampler", "heun"),
    ("sample-ddpm", "ddpm.sample.num_steps", 4),
    *[("sample-ldmiss", "ldmiss.sample.sampler", name) for name in get_args(Sampler) if name != "euler_maruyama"],
    ("sample-ddpm", "ddpm.sample.sampler", "heun"),
    ("impute-ldmiss", "ldmiss.impute.guidance.sampler", "sde_dpm_solver_pp"),
    ("impute-ddpm", "ddpm.impute.guidance.sampler", "ancestral"),
    ("impute-ldmiss", "ldmiss.impute.guidance.weight", 0.5),
    ("impute-ldmiss", "ldmiss.impute.guidance.t_max", 0.6),
    ("impute-ldmiss", "ldmiss.impute.guidance.backprop_score", False),
    ("impute-ddpm", "ddpm.impute.guidance.weight", 2.0),
    ("impute-ddpm", "ddpm.impute.guidance.t_max", 0.6),
    ("impute-ddpm", "ddpm.impute.guidance.backprop_score", False),
    ("impute-ddpm", "ddpm.impute.moment_matching", MATCHING),
    ("impute-ddpm", "ddpm.impute.replacement.num_resamples", 2),
    ("impute-diffputer", "diffputer.impute.num_resamples", 1),
    ("impute-ldmiss", "impute.num_draws", 2),
    ("evaluate", "evaluate.fid_layer", "pre_relu"),
    ("evaluate", "evaluate.fid_layer", "logits"),
]
"""(stage, or stage-method; the param; a choice that is not the tiny project's)."""

MADE = {
    "train_vae": "models/vae", "encode_latents": "data/latents", "train_ldm": "models/ldmiss",
    "train_ddpm": "models/ddpm", "train_diffputer": "models/diffputer", "train": "models",
    "calibrate": "models/posterior", "sample": "data/samples",
    "impute": "data/imputed", "evaluate": "metrics/cells",
}  # fmt: skip


def with_choice(project: Path, folder: Path, param: str, value: Any) -> Path:
    """A copy of the project with one param changed."""
    shutil.copytree(project, folder, symlinks=True)
    document = yaml.safe_load((folder / "params.yaml").read_text())
    *sections, key = param.split(".")
    section = document
    for name in sections:
        section = section[name]
    assert section[key] != value, "this is the tiny project's own choice"
    section[key] = value
    (folder / "params.yaml").write_text(yaml.safe_dump(document))
    return folder


@pytest.mark.parametrize(("where", "param", "value"), SWITCHES, ids=[f"{param}={v}" for _, param, v in SWITCHES])
def test_each_choice_changes_its_stage(project: Path, tmp_path: Path, where: str, param: str, value: Any) -> None:
    """The stage runs with it, and what it makes differs from what the default made."""
    stage, _, method = where.partition("-")
    folder = with_choice(project, tmp_path / "changed", param, value)
    item = Item(tiny.RATE, tiny.SEED, method or None)
    tiny.run(folder, lambda name: name == stage, only=item)
    assert tiny.fingerprints(folder, MADE[stage]) != tiny.fingerprints(project, MADE[stage])


def test_the_robust_encoder_goes_all_the_way(project: Path, tmp_path: Path) -> None:
    """Its two channels and grey fill reach the latents, LDMiss and the autoencoder baseline."""
    folder = with_choice(project, tmp_path / "robust", "vae.encoder_input", "robust")
    tiny.run(folder, lambda name: name in ("train_vae", "encode_latents", "train_ldm"))
    tiny.run(folder, lambda name: name == "impute", only=Item(tiny.RATE, tiny.SEED, "vae"))
    assert tiny.fingerprints(folder, "data/imputed") != tiny.fingerprints(project, "data/imputed")
    for name in ("vae", "ldmiss"):
        metadata = load_metadata(folder / tiny.CELL.model(name))
        assert (metadata["robust"], metadata["vae"]["in_channels"]) == (True, 2)
        tensors, _ = load_tensors(folder / tiny.CELL.model(name), kind=name)
        assert tensors["fill"].tolist() == [[[0.5]]]


def test_a_model_of_another_data_set_is_refused(project: Path, tmp_path: Path) -> None:
    """A model trained on mnist has seen all of mnist5k, its test images too."""
    folder = tmp_path / "other"
    shutil.copytree(project, folder, symlinks=True)
    path = folder / tiny.CELL.model("ddpm")
    tensors, metadata = load_tensors(path, kind="ddpm")
    metadata = {key: value for key, value in metadata.items() if key not in ("kind", "format")}
    save_tensors(path, tensors, kind="ddpm", metadata={**metadata, "dataset": "mnist"})
    impute = Item(tiny.RATE, tiny.SEED, "ddpm")
    with pytest.raises(InputError, match=r"trained on dataset 'mnist', but .*test.npz is of 'mnist5k'"):
        tiny.run(folder, lambda name: name == "impute", only=impute)
    for key in ("dataset", "made_by", "params"):
        without = {name: value for name, value in metadata.items() if name != key}
        save_tensors(path, tensors, kind="ddpm", metadata=without)
        with pytest.raises(InputError, match=rf"ddpm/0\.5-42\.safetensors: its metadata .*{key}"):
            tiny.run(folder, lambda name: name == "impute", only=impute)


def test_images_that_do_not_say_their_data_set_are_refused(project: Path, tmp_path: Path) -> None:
    """Not taken for a data set called None, which no model was trained on."""
    images, observed = load_observed(project / OBSERVED_TEST)
    save_observed(tmp_path / "test.npz", images, observed, metadata={})
    with pytest.raises(InputError, match="its metadata have no entry dataset"):
        refuse_other_dataset(project / tiny.CELL.model("ddpm"), tmp_path / "test.npz")
