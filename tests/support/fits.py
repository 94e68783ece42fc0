"""Every fit of `ldmiss.fitting` as a user calls it, with the settings of the tiny project written out."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ldmiss.autoencoding.encoder_input import EncoderInput
from ldmiss.checkpoints import NO_CHECKPOINT, Checkpoint
from ldmiss.diffputer.em import Sampling
from ldmiss.fitting import baselines, conditional, em_diffusion, miwae, regression
from ldmiss.fitting.classifier import fit_classifier
from ldmiss.fitting.ddpm import fit_ddpm
from ldmiss.fitting.diffputer import EMSettings, fit_diffputer
from ldmiss.fitting.ldm import fit_ldm
from ldmiss.fitting.posterior import calibrate
from ldmiss.fitting.vae import fit_vae
from ldmiss.training.loop import Recipe
from support import small_models

SEED = 42
WARM_UP = Recipe(epochs=2, batch_size=16, lr=1e-3, lr_schedule="warmup_cosine")
COSINE = Recipe(epochs=2, batch_size=16, lr=1e-3, lr_schedule="cosine")
EM = EMSettings(
    hidden=16, num_iterations=2, first=Recipe(epochs=12, batch_size=16, lr=1e-3, lr_schedule="cosine"), later=COSINE,
    sampling=Sampling(3, 2), num_trials=2,
)  # fmt: skip


@dataclass(frozen=True)
class Data:
    """What fits are given.

    Attributes:
        images: float32 (N, 1, 28, 28), in [0, 1].
        observed: bool (N, 1, 28, 28).
        latents: float32 (N, 2, 7, 7), scaled.
        labels: int64 (N,).
    """

    images: Tensor
    observed: Tensor
    latents: Tensor
    labels: Tensor


Weights = dict[str, Tensor]
Fit = Callable[[Data, Checkpoint], Weights]


def _vae(data: Data, checkpoint: Checkpoint = NO_CHECKPOINT) -> Weights:
    return fit_vae(
        data.images, data.observed,
        network={
            "base_channels": 4, "channel_multipliers": [1, 2, 4], "num_res_blocks": 1, "latent_channels": 2,
            "num_groups": 2, "mid_attention": True,
        },
        encoder_input=EncoderInput(torch.zeros(1, 1, 1), "symmetric", robust=False),
        recipe=WARM_UP, seed=SEED, checkpoint=checkpoint,
    ).weights  # fmt: skip


def _ldm(data: Data, checkpoint: Checkpoint = NO_CHECKPOINT) -> Weights:
    return fit_ldm(
        data.latents,
        network={
            "base_channels": 8, "channel_multipliers": [1, 2], "num_res_blocks": 1, "attention_levels": [0],
            "mid_attention": True, "dropout": 0.1, "num_groups": 2, "resampling": "biggan",
        },
        recipe=Recipe(epochs=2, batch_size=16, lr=1e-3, lr_schedule="warmup_cosine", ema_decay=0.9),
        seed=SEED, checkpoint=checkpoint,
    ).weights  # fmt: skip


def _ddpm(data: Data, checkpoint: Checkpoint = NO_CHECKPOINT) -> Weights:
    return fit_ddpm(
        data.images, data.observed,
        network={
            "base_channels": 4, "channel_multipliers": [1, 1], "num_res_blocks": 1, "attention_levels": [],
            "mid_attention": False, "dropout": 0.0, "num_groups": 2, "resampling": "biggan",
        },
        recipe=WARM_UP, seed=SEED, checkpoint=checkpoint,
    ).weights  # fmt: skip


def _diffputer(data: Data, checkpoint: Checkpoint = NO_CHECKPOINT) -> Weights:
    rows, observed = data.images.flatten(1), data.observed.flatten(1)
    fitted = fit_diffputer(rows, observed, settings=EM, seed=SEED, chunk_size=20, checkpoint=checkpoint)
    return fitted.weights | {"mean": fitted.normalizer.mean, "std": fitted.normalizer.std}


PATCH_UNET = {
    "base_channels": 4, "channel_multipliers": [1, 2], "num_res_blocks": 1, "attention_levels": [],
    "mid_attention": False, "dropout": 0.0, "num_groups": 2, "resampling": "biggan", "patch_size": 2,
}  # fmt: skip
RECIPE = {"epochs": 2, "batch_size": 16, "lr": 1e-3, "lr_schedule": "warmup_cosine", "ema_decay": 0.9, "grad_clip": 1.0}


def _regression(data: Data, checkpoint: Checkpoint = NO_CHECKPOINT) -> Weights:
    return regression.fit(
        data.images, data.observed, network=PATCH_UNET, recipe=RECIPE, min_kept=0.5, seed=SEED, checkpoint=checkpoint
    ).tensors


def _conditional(data: Data, checkpoint: Checkpoint = NO_CHECKPOINT) -> Weights:
    return conditional.fit(
        data.images, data.observed, network=PATCH_UNET, recipe=RECIPE, min_kept=0.5,
        diffusion={"beta_min": 0.1, "beta_max": 20.0, "tau": 1e-3}, seed=SEED, checkpoint=checkpoint,
    ).tensors  # fmt: skip


def _miwae(data: Data, checkpoint: Checkpoint = NO_CHECKPOINT) -> Weights:
    network = {
        "base_channels": 4, "channel_multipliers": [1, 2, 4], "num_res_blocks": 1, "latent_channels": 2,
        "num_groups": 2, "mid_attention": True,
    }  # fmt: skip
    recipe = {"epochs": 2, "batch_size": 16, "lr": 1e-3, "lr_schedule": "warmup_cosine", "grad_clip": 1.0}
    return miwae.fit(
        data.images, data.observed, network=network, recipe=recipe, num_samples=2, seed=SEED, checkpoint=checkpoint
    ).tensors


def _em_diffusion(data: Data, checkpoint: Checkpoint = NO_CHECKPOINT) -> Weights:
    e_step = {"sampler": "sde_dpm_solver_pp", "num_steps": 2, "num_iterations": 1, "noise_sd": 0.01, "chunk_size": 20}
    return em_diffusion.fit(
        data.images, data.observed, network=PATCH_UNET, num_iterations=2, first=RECIPE,
        later=RECIPE | {"ema_decay": 0.999}, e_step=e_step,
        diffusion={"beta_min": 0.1, "beta_max": 20.0, "tau": 1e-3}, seed=SEED, checkpoint=checkpoint,
    ).tensors  # fmt: skip


def _posterior(data: Data, checkpoint: Checkpoint = NO_CHECKPOINT) -> Weights:
    model = small_models.posterior()
    calibration = calibrate(
        data.images, data.observed, encode=model.encode, decode=model.codec.decode, decode_draw=model.decode_draw,
        num_images=12, seed=SEED, chunk_size=6, checkpoint=checkpoint,
    )  # fmt: skip
    return {"noise_sd": torch.tensor(calibration.noise_sd), **vars(calibration.residual)}


def _baselines(data: Data, checkpoint: Checkpoint = NO_CHECKPOINT) -> Weights:
    return baselines.fit(data.images, data.observed, ridge=0.003, checkpoint=checkpoint).tensors


def _classifier(data: Data, checkpoint: Checkpoint = NO_CHECKPOINT) -> Weights:
    images = (data.images * 255).round().to(torch.uint8)
    return fit_classifier(images, data.labels, num_classes=10, recipe=COSINE, seed=0, checkpoint=checkpoint).weights


FITS: dict[str, Fit] = {
    "vae": _vae, "ldmiss": _ldm, "ddpm": _ddpm, "diffputer": _diffputer, "regression": _regression,
    "conditional": _conditional, "posterior": _posterior, "miwae": _miwae,
    "em_diffusion": _em_diffusion, "baselines": _baselines,
    "classifier": _classifier,
}  # fmt: skip
OF_INCOMPLETE_IMAGES = (
    "vae",
    "ddpm",
    "diffputer",
    "regression",
    "conditional",
    "posterior",
    "miwae",
    "em_diffusion",
    "baselines",
)
