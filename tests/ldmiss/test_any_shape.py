"""Every method at shapes that nothing was made for: odd, unequal, small, large, in colour, and in their own units."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ldmiss.autoencoding.autoencoder import Autoencoder
from ldmiss.autoencoding.codecs import LatentCodec, PixelCodec
from ldmiss.autoencoding.encoder_input import EncoderInput
from ldmiss.autoencoding.encoding import encode_images
from ldmiss.core.fill import fill_image
from ldmiss.core.noise import RowNoise
from ldmiss.core.scaling import Scaler
from ldmiss.diffputer.em import Sampling, denoiser_of
from ldmiss.diffputer.mlp import DiffPuterMLP
from ldmiss.diffusion.sde import VPSDE
from ldmiss.fitting import conditional, miwae, regression
from ldmiss.fitting.ddpm import fit_ddpm
from ldmiss.fitting.diffputer import EMSettings, fit_diffputer
from ldmiss.fitting.ldm import fit_ldm
from ldmiss.fitting.vae import fit_vae
from ldmiss.imputation.autoencoder import impute_autoencoder
from ldmiss.imputation.conditional import ConditionalModel
from ldmiss.imputation.diffputer import DiffPuterModel
from ldmiss.imputation.imputer import Imputer
from ldmiss.imputation.miwae import MIWAEModel
from ldmiss.imputation.regression import RegressionModel
from ldmiss.imputation.score_based import score_model
from ldmiss.networks.restore import restore_network
from ldmiss.remasking.network import PatchUNet
from ldmiss.training.loop import Recipe

SHAPES = [(1, 8, 11), (3, 33, 20), (2, 9, 8), pytest.param((1, 112, 92), marks=pytest.mark.slow)]
NUM_IMAGES = 6
RECIPE = Recipe(epochs=1, batch_size=3, lr=1e-3)
UNET = {
    "base_channels": 4, "channel_multipliers": [1, 1], "num_res_blocks": 1, "attention_levels": [1],
    "mid_attention": True, "dropout": 0.1, "num_groups": 2, "resampling": "biggan",
}  # fmt: skip
VAE = {
    "base_channels": 4, "channel_multipliers": [1, 1, 2], "num_res_blocks": 1, "latent_channels": 3, "num_groups": 2,
    "mid_attention": True,
}  # fmt: skip
EM = EMSettings(hidden=8, num_iterations=2, first=RECIPE, later=RECIPE, sampling=Sampling(2, 1))
SDE = VPSDE()


@dataclass(frozen=True)
class Data:
    """Incomplete images in degrees, and what the methods see of them."""

    raw: np.ndarray
    observed: Tensor
    scaler: Scaler
    images: Tensor
    noise: RowNoise


@pytest.fixture(scope="module", params=SHAPES, ids=str)
def data(request: pytest.FixtureRequest) -> Data:
    """Half of the values missing, and NaN where they are."""
    rng = np.random.default_rng(0)
    shape = (NUM_IMAGES, *request.param)
    observed = rng.random(shape) < 0.5
    raw = np.where(observed, rng.normal(-40, 15, shape), np.nan).astype(np.float32)
    scaler = Scaler.fit(raw, observed)
    images = torch.from_numpy(scaler.to_scaled(raw))
    return Data(raw, torch.from_numpy(observed), scaler, images, RowNoise(0, torch.arange(NUM_IMAGES)))


def is_completed(data: Data, complete: Any, *, stochastic: bool = True) -> None:
    """All values are finite, and the observed ones as given."""
    low, high = (torch.from_numpy(bound) for bound in data.scaler.scaled_bounds())
    noise = RowNoise(0, torch.arange(NUM_IMAGES))
    completed = Imputer(complete, stochastic)(data.images, data.observed, noise, bounds=(low, high))
    assert completed.shape == data.images.shape
    assert completed.isfinite().all()
    assert torch.equal(completed[data.observed], data.images[data.observed])


def test_latent_diffusion(data: Data) -> None:
    """Autoencoder, its latents, score network: fitted, sampled, and images completed by the latter two."""
    encoder_input = EncoderInput(fill_image("mean", data.images, data.observed), "symmetric", robust=True)
    fitted = fit_vae(
        data.images, data.observed, network=VAE, encoder_input=encoder_input, recipe=RECIPE, seed=0, progress=False
    )
    vae = restore_network(Autoencoder, fitted.config, fitted.weights)
    latents = encode_images(vae.encoder, data.images, data.observed, encoder_input=encoder_input)
    height, width = (-(-size // 4) for size in data.images.shape[2:])
    assert latents.shape == (NUM_IMAGES, 3, height, width)
    score = fit_ldm(latents, network=UNET, recipe=RECIPE, seed=0, progress=False)
    codec = LatentCodec((3, height, width), vae.decoder, torch.ones(1, 1, 1), "symmetric")
    model = score_model(score.config, score.weights, codec, sde=SDE, tau=1e-3)
    assert model.generate(2, RowNoise(0, torch.arange(2)), num_steps=2).shape == (2, *data.images.shape[1:])
    is_completed(data, partial(model.impute_by_guidance, num_steps=2))
    reconstruct = partial(impute_autoencoder, vae.encoder, vae.decoder, encoder_input=encoder_input)
    is_completed(data, lambda x_obs, observed, noise, saved: reconstruct(x_obs, observed), stochastic=False)


def test_pixel_diffusion(data: Data) -> None:
    """Fitted, sampled, and images completed by guidance and by replacement."""
    fitted = fit_ddpm(
        data.images, data.observed, network=UNET, recipe=RECIPE, seed=0, fill="mean", progress=False
    )  # fmt: skip
    codec = PixelCodec(tuple(data.images.shape[1:]), "symmetric")  # type: ignore[arg-type]
    model = score_model(fitted.config, fitted.weights, codec, sde=SDE, tau=1e-3)
    assert model.generate(2, RowNoise(0, torch.arange(2)), num_steps=2).shape == (2, *data.images.shape[1:])
    is_completed(data, partial(model.impute_by_guidance, num_steps=2))
    is_completed(data, partial(model.impute_by_replacement, num_steps=2))


def test_remasking(data: Data) -> None:
    """Regression and conditional diffusion, fitted on patches that do not divide the image, and images completed."""
    channels, *size = data.images.shape[1:]
    shape = (channels, *size)
    settings: dict[str, Any] = {"network": {**UNET, "patch_size": 2}, "recipe": vars(RECIPE), "min_kept": 0.2}
    fitted = regression.fit(data.images, data.observed, **settings, seed=0, progress=False)
    network = restore_network(PatchUNet, fitted.metadata["network"], fitted.tensors)
    is_completed(data, RegressionModel(network, shape).impute_mean, stochastic=False)
    is_completed(data, RegressionModel(network, shape).impute_draw)
    diffusion = {"beta_min": 0.1, "beta_max": 20.0, "tau": 1e-3}
    fitted = conditional.fit(data.images, data.observed, **settings, diffusion=diffusion, seed=0, progress=False)
    network = restore_network(PatchUNet, fitted.metadata["network"], fitted.tensors)
    is_completed(data, partial(ConditionalModel(network, SDE, 1e-3, shape).impute, num_steps=2))


def test_miwae(data: Data) -> None:
    """Fitted, and images completed by means and by draws."""
    channels, *size = data.images.shape[1:]
    fitted = miwae.fit(
        data.images, data.observed, network=VAE, recipe=vars(RECIPE), num_samples=2, seed=0, progress=False
    )
    network = restore_network(Autoencoder, fitted.metadata["network"], fitted.tensors)
    model = MIWAEModel(network.encoder, network.decoder, (channels, *size))
    is_completed(data, partial(model.impute_mean, num_samples=2), stochastic=False)
    is_completed(data, partial(model.impute_draw, num_samples=2))


def test_diffputer(data: Data) -> None:
    """Fitted on rows, sampled, and images completed."""
    rows, observed = data.images.flatten(1), data.observed.flatten(1)
    fitted = fit_diffputer(rows, observed, settings=EM, seed=0, progress=False)
    network = restore_network(DiffPuterMLP, fitted.config, fitted.weights)
    shape = tuple(data.images.shape[1:])
    model = DiffPuterModel(denoiser_of(network), fitted.normalizer, shape)  # type: ignore[arg-type]
    assert model.generate(2, RowNoise(0, torch.arange(2)), num_steps=2).shape == (2, *shape)
    is_completed(data, partial(model.impute, sampling=Sampling(2, 1)))


@pytest.mark.parametrize("value", [0.0, 1e6, float("nan"), float("inf")])
def test_the_scaler_never_sees_a_missing_value(data: Data, value: float) -> None:
    """Neither its moments nor the scaled observed values move."""
    observed = data.observed.numpy()
    changed = np.where(observed, data.raw, np.float32(value))
    scaler = Scaler.fit(changed, observed)
    assert scaler.to_dict() == data.scaler.to_dict()
    assert np.array_equal(scaler.to_scaled(changed)[observed], data.images.numpy()[observed])
