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
from torch import Tensor

from ldmiss.autoencoding.autoencoder import Autoencoder
from ldmiss.autoencoding.codecs import Codec, LatentCodec, PixelCodec, latent_scale
from ldmiss.autoencoding.encoder_input import EncoderInput
from ldmiss.autoencoding.encoding import encode_images
from ldmiss.core.fill import fill_image
from ldmiss.core.noise import RowNoise
from ldmiss.core.randomness import derive_seed, numpy_generator
from ldmiss.diffusion.sde import VPSDE
from ldmiss.errors import InputError
from ldmiss.evaluation.pixel import errors_by_image
from ldmiss.fitting.ddpm import fit_ddpm
from ldmiss.fitting.ldm import fit_ldm
from ldmiss.fitting.vae import fit_vae
from ldmiss.imputation.imputer import Imputer
from ldmiss.imputation.score_based import ScoreModel, score_model
from ldmiss.missingness.mechanisms import draw_observed, remove_missing
from ldmiss.networks.layers import at_precision
from ldmiss.networks.restore import restore_network
from ldmiss.training.fit import FittedNetwork
from ldmiss.training.loop import Recipe
from ldmiss_pipeline.datasets import registry as datasets

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
        images = datasets.load_split("mnist", raw, "train").images[:, 0]
        if not 0 < num_held_out < len(images):
            raise InputError(f"held-out images: {num_held_out} of {len(images)}; at least one has to stay on each side")
        return cls(images[:-num_held_out], images[-num_held_out:])

    def incomplete(self, num_images: int, rate: float) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """The first images to fit on, 0 where missing, and observed; (N, 28, 28) each, nested across rates."""
        images = self.fit[:num_images, None]
        observed = draw_observed("mcar", images, rate, numpy_generator(SEED, "observed"))
        return remove_missing(images, observed)[:, 0], observed[:, 0]

    def to_score(self, num_images: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """The truth in [0, 1] of the first held-out images, and which pixels are shown; (N, 28, 28) each."""
        images = self.held_out[:num_images]
        observed = draw_observed("mcar", images[:, None], TEST_RATE, numpy_generator(SEED, "held-out observed"))
        return (images / 255).astype(np.float32), observed[:, 0]


@dataclass(frozen=True)
class Bench:
    """What every study works with; `scale` divides sizes and epochs (1 for the real thing, more for a test)."""

    split: Split
    params: "Params"
    runtime: "Runtime"
    scale: int = 1

    def size(self, number: int) -> int:
        """A number of images or epochs, scaled down, at least 2."""
        return max(2, number // self.scale)

    def tensors(self, num_images: int, rate: float) -> tuple[Tensor, Tensor]:
        """`Split.incomplete` as fits see it: float32 in [0, 1] and bool, (N, 1, 28, 28)."""
        images, observed = self.split.incomplete(num_images, rate)
        device = self.runtime.device
        return torch.from_numpy(images)[:, None].to(device) / 255, torch.from_numpy(observed)[:, None].to(device)

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
    return np.divide(*errors_by_image(x_hat, truth, ~observed))


def with_epochs(train: "Train", epochs: int, **changes: Any) -> Recipe:
    """The recipe of a section `train` at another length."""
    return Recipe(**{**train.model_dump(), "epochs": epochs, "min_steps": None, **changes})


def autoencoder(
    bench: Bench, images: Tensor, observed: Tensor, recipe: Recipe, *, robust: bool
) -> tuple[Autoencoder, EncoderInput]:
    """The autoencoder as the stage `train_vae` fits it, and what its encoder sees."""
    params, runtime = bench.params, bench.runtime
    fill = fill_image("grey" if robust else params.missing.fill, images, observed)
    encoder_input = EncoderInput(fill, params.dataset.range, robust)
    fitted = fit_vae(
        images, observed, network=params.vae.network.model_dump(), encoder_input=encoder_input, recipe=recipe,
        kl_weight=params.vae.kl_weight, seed=SEED, dtype=runtime.dtype,
    )  # fmt: skip
    return restore_network(Autoencoder, fitted.config, fitted.weights, device=runtime.device), encoder_input


def latent_model(bench: Bench, images: Tensor, observed: Tensor, *, vae: Recipe, ldm: Recipe) -> ScoreModel:
    """LDMiss, first and second stage, with the networks of the params."""
    params, dtype = bench.params, bench.runtime.dtype
    robust = params.vae.encoder_input == "robust"
    network, encoder_input = autoencoder(bench, images, observed, vae, robust=robust)
    latents = encode_images(at_precision(network.encoder, dtype), images, observed, encoder_input=encoder_input)
    scale = latent_scale(latents, params.latents.scale)
    fitted = fit_ldm(
        (latents * scale).to(images.device), network=params.ldmiss.network.model_dump(), recipe=ldm, seed=SEED,
        sde=_sde(params), tau=params.diffusion.tau, weighting=params.ldmiss.loss.weighting, dtype=dtype,
    )  # fmt: skip
    shape = (latents.shape[1], latents.shape[2], latents.shape[3])
    decoder = at_precision(network.decoder, dtype)
    return _score_model(bench, fitted, LatentCodec(shape, decoder, scale.to(images.device), params.dataset.range))


def pixel_model(bench: Bench, images: Tensor, observed: Tensor, recipe: Recipe) -> ScoreModel:
    """The pixel DDPM, with the network of the params."""
    params = bench.params
    fitted = fit_ddpm(
        images, observed, network=params.ddpm.network.model_dump(), recipe=recipe, seed=SEED,
        sde=_sde(params), tau=params.diffusion.tau,
        weighting=params.ddpm.loss.weighting, normalizer=params.ddpm.loss.normalizer,
        fill=params.missing.fill, value_range=params.dataset.range, dtype=bench.runtime.dtype,
    )  # fmt: skip
    shape = (images.shape[1], images.shape[2], images.shape[3])
    return _score_model(bench, fitted, PixelCodec(shape, params.dataset.range))


def _sde(params: "Params") -> VPSDE:
    return VPSDE(params.diffusion.beta_min, params.diffusion.beta_max)


def _score_model(bench: Bench, fitted: FittedNetwork, codec: Codec) -> ScoreModel:
    return score_model(
        fitted.config, fitted.weights, codec, sde=_sde(bench.params), tau=bench.params.diffusion.tau,
        device=bench.runtime.device, dtype=bench.runtime.dtype,
    )  # fmt: skip
