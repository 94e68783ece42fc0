"""Our side of the rows: networks and steps put together as the stages do."""

from typing import Any

import torch

from benchmarks.setting import IMAGE_SHAPE, Setting
from benchmarks.timing import Run
from ldmiss.autoencoding.autoencoder import Autoencoder
from ldmiss.autoencoding.codecs import Codec, LatentCodec, PixelCodec
from ldmiss.autoencoding.encoder_input import EncoderInput
from ldmiss.autoencoding.objective import autoencoder_loss
from ldmiss.diffusion.objectives import latent_score_loss, pixel_score_loss
from ldmiss.diffusion.parameterization import Denoiser
from ldmiss.diffusion.sde import VPSDE
from ldmiss.diffusion.unet import UNet
from ldmiss.imputation.score_based import ScoreModel
from ldmiss.networks.layers import at_precision, build, init_torch_default
from ldmiss.training.loop import BatchLoss, Recipe, Training

TAU = 1e-3


def unet(setting: Setting, config: dict[str, Any]) -> UNet:
    """A U-Net in which no layer is zero."""
    arguments = {name: value for name, value in config.items() if name != "size"}
    return build(lambda: UNet(**arguments), setting.device, init_torch_default, setting.generator("unet"))


def vae_config(setting: Setting) -> dict[str, Any]:
    """Arguments of the autoencoder whose encoder sees the filled image alone."""
    return {"size": IMAGE_SHAPE[1:], "in_channels": 1, "out_channels": 1, **setting.params.vae.network.model_dump()}


def autoencoder(setting: Setting) -> Autoencoder:
    """An autoencoder in which no layer is zero."""
    config = vae_config(setting)
    return build(lambda: Autoencoder(**config), setting.device, init_torch_default, setting.generator("vae"))


def training_steps(setting: Setting, network: torch.nn.Module, batch_loss: BatchLoss, batch_size: int) -> Run:
    """Steps of the training loop, everything in them: order of the items, loss, update, checks."""
    num_items = setting.sizes.train_steps * batch_size
    training = Training(network, Recipe(epochs=1, batch_size=batch_size, lr=1e-5), num_items=num_items, seed=0)

    def steps() -> None:
        training.step = 0
        training.run(batch_loss)

    return steps


def pixel_loss(setting: Setting, network: UNet, dtype: torch.dtype) -> BatchLoss:
    """Eq. 3 on incomplete images."""
    images, observed = setting.incomplete(setting.sizes.train_steps * setting.sizes.pixel)
    fill = torch.zeros(1, 1, 1, device=setting.device)
    forward = at_precision(network, dtype)
    return pixel_score_loss(forward, VPSDE(), images, observed, tau=TAU, fill=fill, value_range="symmetric")


def latent_loss(setting: Setting, network: UNet, dtype: torch.dtype, config: dict[str, Any]) -> BatchLoss:
    """Eq. 2 on latents of the network's size."""
    num_items = setting.sizes.train_steps * setting.sizes.latent
    latents = setting.normal(num_items, config["in_channels"], config["size"], config["size"])
    return latent_score_loss(at_precision(network, dtype), VPSDE(), latents, tau=TAU)


def vae_loss(setting: Setting, network: Autoencoder, dtype: torch.dtype) -> BatchLoss:
    """The masked objective on incomplete images."""
    images, observed = setting.incomplete(setting.sizes.train_steps * setting.sizes.vae)
    encoder, decoder = at_precision(network.encoder, dtype), at_precision(network.decoder, dtype)
    encoder_input = EncoderInput(torch.zeros(1, 1, 1, device=setting.device), "symmetric", robust=False)
    kl_weight = setting.params.vae.kl_weight
    return autoencoder_loss(encoder, decoder, images, observed, kl_weight=kl_weight, encoder_input=encoder_input)


def autocast(setting: Setting, dtype: torch.dtype, run: Run) -> Run:
    """A peer's run in another dtype, by torch's own means: weights are cast once a run."""

    def under() -> object:
        with torch.autocast(setting.device.type, dtype, enabled=dtype != torch.float32):
            return run()

    return under


def frozen(network: torch.nn.Module) -> None:
    """As the stages restore a network: for inference alone."""
    network.eval().requires_grad_(False)


def score_model(
    setting: Setting, network: UNet, dtype: torch.dtype, config: dict[str, Any], vae: Autoencoder | None = None
) -> ScoreModel:
    """LDMiss with an autoencoder, DDPM without."""
    shape = (config["in_channels"], config["size"], config["size"])
    codec: Codec = PixelCodec(shape, "symmetric")
    if vae is not None:
        scale = torch.ones(1, 1, 1, device=setting.device)
        codec = LatentCodec(shape, at_precision(vae.decoder, dtype), scale, "symmetric")
    return ScoreModel(Denoiser(at_precision(network, dtype), VPSDE()), codec, setting.device, TAU)
