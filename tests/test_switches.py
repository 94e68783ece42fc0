"""Every switch for what the paper leaves open reaches the computation: another choice, another result of the stage.

What each choice computes is tested beside its formula; docs/fidelity.md says where.
"""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import yaml

from stages import params
from stages.compose import composed
from stages.io import load_arrays, load_tensors
from stages.paths import Item

VAE, LATENTS, LDMISS, DDPM, PUTER = "models/vae", "data/latents", "models/ldmiss", "models/ddpm", "models/diffputer"
SWITCHES = [
    ("missing.fill", "grey", "train_ddpm", DDPM),
    ("missing.fill", "mean", "train_vae", VAE),
    ("dataset.range", "unit", "train_vae", VAE),
    ("dataset.range", "unit", "train_ddpm", DDPM),
    ("vae.encoder_input", "robust", "train_vae", VAE),
    ("latents.source", "sample", "encode_latents", LATENTS),
    ("latents.scale", "per_channel", "encode_latents", LATENTS),
    ("latents.scale", "none", "encode_latents", LATENTS),
    ("ldmiss.loss.weighting", "likelihood", "train_ldm", LDMISS),
    ("ddpm.loss.weighting", "likelihood", "train_ddpm", DDPM),
    ("ddpm.loss.normaliser", "batch", "train_ddpm", DDPM),
    ("ldmiss.network.mid_attention", False, "train_ldm", LDMISS),
    ("ddpm.network.mid_attention", True, "train_ddpm", DDPM),
    ("ldmiss.network.resampling", "conv", "train_ldm", LDMISS),
    ("ddpm.network.resampling", "conv", "train_ddpm", DDPM),
    ("ldmiss.train.ema_decay", None, "train_ldm", LDMISS),
    ("ddpm.train.ema_decay", 0.9, "train_ddpm", DDPM),
    ("diffputer.normalize", "global", "train_diffputer", PUTER),
    ("diffputer.em.e_step.statistic", "sample", "train_diffputer", PUTER),
    ("ldmiss.sample.sampler", "heun", "sample", "ldmiss"),
    ("ldmiss.sample.sampler", "dpm_solver_pp", "sample", "ldmiss"),
    ("ddpm.sample.sampler", "heun", "sample", "ddpm"),
    ("ddpm.sample.sampler", "dpm_solver_pp", "sample", "ddpm"),
    ("ldmiss.impute.guidance.weight", 0.5, "impute", "ldmiss"),
    ("ldmiss.impute.guidance.t_max", 0.5, "impute", "ldmiss"),
    ("ldmiss.impute.guidance.backprop_score", False, "impute", "ldmiss"),
    ("ddpm.impute.guidance.t_max", 0.5, "impute", "ddpm"),
    ("ddpm.impute.replacement.num_resamples", 2, "impute", "ddpm"),
]


def nested(key: str, value: Any) -> dict[str, Any]:
    """{"a": {"b": value}} for "a.b"."""
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


def run_switched(trained: Path, folder: Path, changes: dict[str, Any], stage: str, item: Item) -> Path:
    """A copy of the project in which one item of one stage ran with other params."""
    shutil.copytree(trained, folder, symlinks=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(tiny.document(**changes)))
    tiny.run(folder, lambda name: name == stage, item)
    return folder


@pytest.fixture(scope="module")
def sampled(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained project, with its samples."""
    folder = tmp_path_factory.mktemp("sampled") / "project"
    shutil.copytree(trained, folder, symlinks=True)
    for method in ("ldmiss", "ddpm"):
        tiny.run(folder, lambda name: name == "sample", Item(tiny.RATE, tiny.SEED, method))
    return folder


@pytest.mark.parametrize(("key", "value", "stage", "output"), SWITCHES, ids=[f"{s[0]}={s[1]}-{s[2]}" for s in SWITCHES])
def test_another_choice_is_another_result(
    key: str, value: Any, stage: str, output: str, sampled: Path, tmp_path: Path
) -> None:
    """It is no default already, it is accepted, and the stage writes something else, all of it finite."""
    item = Item(tiny.RATE, tiny.SEED, output) if stage in ("sample", "impute") else tiny.CELL
    if stage in ("sample", "impute"):
        output = f"data/{'samples' if stage == 'sample' else 'imputed'}/{tiny.CELL.cell}"
    changes = tiny.merged({"diffputer": tiny.EARLY_STOP}, nested(key, value))
    assert tiny.document(**changes) != tiny.document(diffputer=tiny.EARLY_STOP)
    folder = run_switched(sampled, tmp_path / "switched", changes, stage, item)
    assert tiny.fingerprints(folder, output) != tiny.fingerprints(sampled, output)
    for path in (folder / output).rglob("*.safetensors"):
        tensors, _ = load_tensors(path, kind=path.parent.name)
        assert all(tensor.isfinite().all() for tensor in tensors.values())
    for path in (folder / output).rglob("*.npz"):
        assert np.isfinite(load_arrays(path, "images")[0].astype(float)).all()


def test_the_same_choices_are_the_same_result(sampled: Path, tmp_path: Path) -> None:
    """The check above can fail: with nothing switched, the bytes are the same."""
    folder = run_switched(sampled, tmp_path / "same", {"diffputer": tiny.EARLY_STOP}, "train_vae", tiny.CELL)
    assert tiny.fingerprints(folder, VAE) == tiny.fingerprints(sampled, VAE)


def test_number_of_draws(trained: Path, tmp_path: Path) -> None:
    """`impute.num_draws`: so many draws of the subset, the first of them those of every image."""
    item = Item(tiny.RATE, tiny.SEED, "ldmiss")
    changes = {"impute": {"num_draws": 5}, "diffputer": tiny.EARLY_STOP}
    folder = run_switched(trained, tmp_path / "draws", changes, "impute", item)
    path = item.imputed("ldmiss") / "ldmiss-guidance.npz"
    (five,), (three,) = (load_arrays(place / path, "draws") for place in (folder, trained))
    assert (five.shape[1], three.shape[1]) == (5, 3)
    np.testing.assert_allclose(five[:, :3].astype(float), three.astype(float), atol=2e-3)


def test_recipes() -> None:
    """`recipe=paper` leaves the rates of A.2 alone; `recipe=tuned` has the same budget at another rate, averaged."""
    paper, tuned = (
        params.validate(yaml.safe_load(composed(["profile=paper", f"recipe={name}"])), name)
        for name in ("paper", "tuned")
    )
    for method in ("ldmiss", "ddpm"):
        one, other = getattr(paper, method).train, getattr(tuned, method).train
        assert (other.lr, other.ema_decay, other.grad_clip) == (2e-4, 0.999, 1.0)
        assert other.lr > one.lr
        assert (one.epochs, one.batch_size) == (other.epochs, other.batch_size)
    assert (paper.ddpm.train.lr, paper.ldmiss.train.lr) == (1.96e-5, 9.05e-5)


@pytest.mark.parametrize("name", ["quick", "lite", "standard", "official"])
def test_diffputer_recipes(name: str) -> None:
    """Each is valid; the authors' settings are in `official` alone."""
    diffputer = params.validate(yaml.safe_load(composed(["profile=paper", f"diffputer={name}"])), name).diffputer
    assert diffputer.recipe == name
    em, e_step = diffputer.em, diffputer.em.e_step
    found = (em.num_iterations, em.train_first.epochs, e_step.num_trials, e_step.num_steps, e_step.num_resamples)
    assert (found == (10, 10_001, 20, 50, 20)) == (name == "official")
    assert em.warm_start == (name != "official")
