"""Data and small models for `benchmarks.constants`: the training split alone, its last 5,000 images held out.

The test split is never read, so no constant is tuned on the truth that the results are reported on.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ldmiss.autoencoding.codecs import Codec, LatentCodec, PixelCodec, latent_scale
from ldmiss.autoencoding.encoder_input import EncoderInput
from ldmiss.autoencoding.objective import autoencoder_loss
from ldmiss.core.fill import fill_image
from ldmiss.core.noise import RowNoise, torch_generator
from ldmiss.core.pixels import unit_from_uint8
from ldmiss.core.randomness import derive_seed, numpy_generator
from ldmiss.diffusion.objectives import latent_score_loss, pixel_score_loss
from ldmiss.diffusion.parameterization import Denoiser
from ldmiss.errors import InputError
from ldmiss.evaluation.pixel import errors_by_image
from ldmiss.imputation.imputer import Imputer
from ldmiss.imputation.score_based import ScoreModel
from ldmiss.missingness.mechanisms import draw_observed, remove_missing
from ldmiss.networks.autoencoder import Autoencoder
from ldmiss.networks.layers import at_precision, build, init_fan_avg, init_torch_default
from ldmiss.networks.unet import UNet
from ldmiss.training.loop import BatchLoss, Training
from ldmiss_pipeline.datasets import registry as datasets
from ldmiss_pipeline.models.autoencoder import autoencoder_config, encoder_input_from
from ldmiss_pipeline.models.unet import sde_from, unet_config
from ldmiss_pipeline.running.training import recipe_from

if TYPE_CHECKING:
    from ldmiss_pipeline.compute.device import Runtime
    from ldmiss_pipeline.config.schema import Params, Train

NUM_HELD_OUT, TEST_RATE, SEED, CHUNK = 5000, 0.5, 0, 250
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Split:
    """The training images in two: to fit on and to score on; uint8 (N, 28, 28) each."""

    fit: NDArray[np.uint8]
    held_out: NDArray[np.uint8]

    @classmethod
    def load(cls, raw: Path, num_held_out: int = NUM_HELD_OUT) -> "Split":
        """The last `num_held_out` images of the training split of MNIST are held out.

        Raises:
            InputError: missing or corrupted raw files, or no image left to fit on.
        """
        images = datasets.load_split("mnist", raw, "train").images
        if not 0 < num_held_out < len(images):
            raise InputError(f"held-out images: {num_held_out} of {len(images)}; at least one has to stay on each side")
        return cls(images[:-num_held_out], images[-num_held_out:])

    def incomplete(self, num_images: int, rate: float) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """The first images to fit on, 0 where missing, and observed; (N, 28, 28) each, nested across rates."""
        images = self.fit[:num_images]
        observed = draw_observed("mcar", images, rate, numpy_generator(SEED, "observed"))
        return remove_missing(images, observed), observed

    def to_score(self, num_images: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """The truth in [0, 1] of the first held-out images, and which pixels are shown; (N, 28, 28) each."""
        images = self.held_out[:num_images]
        observed = draw_observed("mcar", images, TEST_RATE, numpy_generator(SEED, "held-out observed"))
        return (images / 255).astype(np.float32), observed


@dataclass(frozen=True)
class Bench:
    """What every study works with; `scale` divides sizes and epochs (1 for the real thing, more for a test)."""

    split: Split
    params: "Params"
    runtime: "Runtime"
    classifier: Path
    scale: int = 1

    def size(self, number: int) -> int:
        """A number of images or epochs, scaled down, at least 2."""
        return max(2, number // self.scale)

    def tensors(self, num_images: int, rate: float) -> tuple[Tensor, Tensor]:
        """`Split.incomplete` as torch stages see it: uint8 and bool (N, 1, 28, 28)."""
        images, observed = self.split.incomplete(num_images, rate)
        device = self.runtime.device
        return torch.from_numpy(images)[:, None].to(device), torch.from_numpy(observed)[:, None].to(device)

    def train(self, network: nn.Module, train: "Train", loss: BatchLoss, num_items: int, name: str) -> None:
        """Train in place; the network ends up frozen and in evaluation mode."""
        training = Training(network, recipe_from(train), num_items=num_items, seed=derive_seed(SEED, name))
        training.run(loss)
        network.load_state_dict(training.result())
        network.requires_grad_(False)

    def score(self, imputer: Imputer, num_images: int) -> tuple[Scores, float]:
        """Mean squared error on the missing pixels of each held-out image, (N,), and the seconds it took."""
        truth, observed = self.split.to_score(num_images)
        x, known = (torch.from_numpy(array)[:, None].to(self.runtime.device) for array in (truth, observed))
        x_obs = torch.where(known, x, 0.0)  # the imputer gets no truth, even if it looked
        start = time.perf_counter()
        parts = []
        for rows in torch.split(torch.arange(len(x), device=x.device), CHUNK):
            parts.append(imputer(x_obs[rows], known[rows], RowNoise(derive_seed(SEED, "impute"), rows))[:, 0].cpu())
        seconds = time.perf_counter() - start
        x_hat = torch.cat(parts).numpy()
        return per_image(x_hat, truth, observed), seconds


def per_image(x_hat: NDArray[np.float32], truth: NDArray[np.float32], observed: NDArray[np.bool_]) -> Scores:
    """Mean squared error on each image's missing pixels, so that candidates can be compared in pairs; float64 (N,)."""
    return np.divide(*errors_by_image(x_hat, truth, observed))


def with_epochs(train: "Train", epochs: int, **changes: Any) -> "Train":
    """The recipe at another length."""
    return train.model_copy(update={"epochs": epochs, **changes})


def train_autoencoder(
    bench: Bench, params: "Params", images: Tensor, observed: Tensor, train: "Train"
) -> tuple[Autoencoder, EncoderInput]:
    """As the stage `train_vae`, for the section `vae` of `params`."""
    encoder_input = encoder_input_from(params, images, observed)
    config, runtime = autoencoder_config(params.vae), bench.runtime
    generator = torch_generator("cpu", SEED, "vae", "init")
    network = build(lambda: Autoencoder(**config), runtime.device, init_torch_default, generator)
    encoder, decoder = (at_precision(part, runtime.dtype) for part in (network.encoder, network.decoder))
    loss = autoencoder_loss(
        encoder, decoder, images, observed, kl_weight=params.vae.kl_weight, encoder_input=encoder_input
    )
    bench.train(network, train, loss, len(images), "vae")
    return network, encoder_input


@torch.no_grad()
def encode(bench: Bench, network: Autoencoder, encoder_input: EncoderInput, images: Tensor, observed: Tensor) -> Tensor:
    """Posterior means of incomplete images, (N, 2, 7, 7), as the stage `encode_latents` with `source: mean`."""
    encoder = at_precision(network.encoder, bench.runtime.dtype)
    return torch.cat([
        encoder(encoder_input(unit_from_uint8(images[rows]), observed[rows])).chunk(2, dim=1)[0]
        for rows in torch.split(torch.arange(len(images), device=images.device), CHUNK)
    ])  # fmt: skip


def latent_model(bench: Bench, images: Tensor, observed: Tensor, vae: "Train", ldm: "Train") -> ScoreModel:
    """LDMiss, first and second stage, with the networks of the params."""
    params, runtime = bench.params, bench.runtime
    network, encoder_input = train_autoencoder(bench, params, images, observed, vae)
    latents = encode(bench, network, encoder_input, images, observed)
    scale = latent_scale(latents, params.latents.scale).to(runtime.device)
    latents = latents * scale
    shape = (latents.shape[1], latents.shape[2], latents.shape[3])
    codec = LatentCodec(shape, at_precision(network.decoder, runtime.dtype), scale, params.dataset.range)
    unet = _unet(bench, params.ldmiss.network, shape)
    loss = latent_score_loss(
        at_precision(unet, runtime.dtype), sde_from(params.diffusion), latents,
        tau=params.diffusion.tau, weighting=params.ldmiss.loss.weighting,
    )  # fmt: skip
    bench.train(unet, ldm, loss, len(latents), "ldmiss")
    return _score_model(bench, unet, codec)


def pixel_model(bench: Bench, images: Tensor, observed: Tensor, train: "Train") -> ScoreModel:
    """The pixel DDPM, with the network of the params."""
    params, runtime = bench.params, bench.runtime
    shape = (images.shape[1], images.shape[2], images.shape[3])
    unet = _unet(bench, params.ddpm.network, shape)
    loss = pixel_score_loss(
        at_precision(unet, runtime.dtype), sde_from(params.diffusion), images, observed,
        tau=params.diffusion.tau, weighting=params.ddpm.loss.weighting, normaliser=params.ddpm.loss.normaliser,
        fill=fill_image(params.missing.fill, unit_from_uint8(images), observed), value_range=params.dataset.range,
    )  # fmt: skip
    bench.train(unet, train, loss, len(images), "ddpm")
    return _score_model(bench, unet, PixelCodec(shape, params.dataset.range))


def _unet(bench: Bench, network: Any, shape: tuple[int, int, int]) -> UNet:
    config = unet_config(network, shape)
    return build(lambda: UNet(**config), bench.runtime.device, init_fan_avg, torch_generator("cpu", SEED, "unet"))


def _score_model(bench: Bench, unet: UNet, codec: Codec) -> ScoreModel:
    diffusion = bench.params.diffusion
    denoiser = Denoiser(at_precision(unet, bench.runtime.dtype), sde_from(diffusion))
    return ScoreModel(denoiser, codec, bench.runtime.device, diffusion.tau)
