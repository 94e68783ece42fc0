"""Narrow networks with random weights, none of them zero, wide enough for torch to share their work among threads."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from ldmiss.autoencoding.autoencoder import Autoencoder
from ldmiss.autoencoding.codecs import LatentCodec, PixelCodec
from ldmiss.autoencoding.encoder_input import EncoderInput
from ldmiss.core.noise import torch_generator
from ldmiss.diffputer.edm import Preconditioned
from ldmiss.diffputer.em import SIGMA_DATA, Normalizer, Sampling
from ldmiss.diffputer.mlp import DiffPuterMLP
from ldmiss.diffusion.parameterization import Denoiser
from ldmiss.diffusion.sde import VPSDE
from ldmiss.diffusion.unet import UNet
from ldmiss.imputation.conditional import ConditionalModel
from ldmiss.imputation.diffputer import DiffPuterModel
from ldmiss.imputation.miwae import MIWAEModel
from ldmiss.imputation.posterior import LatentPosterior
from ldmiss.imputation.regression import RegressionModel
from ldmiss.imputation.score_based import ScoreModel
from ldmiss.networks.layers import at_precision, build, init_torch_default
from ldmiss.posterior.residual import Residual
from ldmiss.remasking.network import PatchUNet

CPU = torch.device("cpu")


def unet(channels: int, device: torch.device = CPU, *, attention: bool = False) -> UNet:
    """A score network of two levels, with attention at the first one or none."""
    return build(
        lambda: UNet(
            in_channels=channels, base_channels=8, channel_multipliers=[1, 2], num_res_blocks=1,
            attention_levels=[0] if attention else [],
            mid_attention=False, resampling="biggan", dropout=0.1, num_groups=2,
        ),
        device, init_torch_default, torch_generator("cpu", 0, "unet"),
    )  # fmt: skip


def autoencoder(device: torch.device = CPU, channels: int = 1) -> Autoencoder:
    """28 x 28 to 7 x 7 and back, with attention in the middle."""
    return build(
        lambda: Autoencoder(
            size=(28, 28), in_channels=channels, out_channels=channels, latent_channels=2, base_channels=8,
            channel_multipliers=[1, 2, 4], num_res_blocks=1, num_groups=2, mid_attention=True,
        ),
        device, init_torch_default, torch_generator("cpu", 0, "vae"),
    )  # fmt: skip


def mlp(device: torch.device = CPU) -> DiffPuterMLP:
    """DiffPuter's network on 784 features."""
    return build(
        lambda: DiffPuterMLP(num_features=784, hidden=64), device, init_torch_default, torch_generator("cpu", 0, "mlp")
    )


def ddpm(device: torch.device = CPU, dtype: torch.dtype = torch.float32) -> ScoreModel:
    """A score model of 28 x 28 pixels."""
    denoiser = Denoiser(at_precision(unet(1, device).requires_grad_(False), dtype), VPSDE())
    return ScoreModel(denoiser, PixelCodec((1, 28, 28), "symmetric"), device, 1e-3)


def ldmiss(device: torch.device = CPU, dtype: torch.dtype = torch.float32) -> ScoreModel:
    """A score model of 2 x 7 x 7 latents."""
    denoiser = Denoiser(at_precision(unet(2, device, attention=True).requires_grad_(False), dtype), VPSDE())
    decoder = at_precision(autoencoder(device).requires_grad_(False).decoder, dtype)
    codec = LatentCodec((2, 7, 7), decoder, torch.ones(1, 1, 1, device=device), "symmetric")
    return ScoreModel(denoiser, codec, device, 1e-3)


def posterior(device: torch.device = CPU, dtype: torch.dtype = torch.float32, steps: int = 2) -> LatentPosterior:
    """The score model of latents with an encoder."""
    score_model = ldmiss(device, dtype)
    assert isinstance(score_model.codec, LatentCodec)
    return LatentPosterior(
        score_model, score_model.codec, at_precision(autoencoder(device).requires_grad_(False).encoder, dtype),
        EncoderInput(torch.zeros(1, 1, 1, device=device), "symmetric", robust=False), (1, 28, 28),
        {"num_steps": steps, "num_iterations": 2, "t_start": 0.2},
    )  # fmt: skip


def residual(device: torch.device = CPU) -> Residual:
    """Small errors of values below 0.5, and large ones of those above."""
    return Residual(torch.full((1,), 0.5, device=device), torch.tensor([[-0.1, 0.1], [-0.3, 0.3]], device=device))


def diffputer(device: torch.device = CPU, dtype: torch.dtype = torch.float32) -> DiffPuterModel:
    """A fitted model of rows."""
    moments = Normalizer(torch.full((784,), 0.3, device=device), torch.full((784,), 0.3, device=device))
    denoise = Preconditioned(at_precision(mlp(device).requires_grad_(False), dtype), SIGMA_DATA)
    return DiffPuterModel(denoise, moments, (1, 28, 28))


def patch_unet(in_channels: int, out_channels: int, device: torch.device = CPU) -> PatchUNet:
    """The network of the re-masking methods, on patches of 2 x 2."""
    return build(
        lambda: PatchUNet(
            in_channels=in_channels, out_channels=out_channels, patch_size=2, base_channels=8,
            channel_multipliers=[1, 2], num_res_blocks=1, attention_levels=[], mid_attention=False,
            resampling="biggan", dropout=0.0, num_groups=2,
        ),
        device, init_torch_default, torch_generator("cpu", 0, "patches"),
    )  # fmt: skip


def regression(device: torch.device = CPU, dtype: torch.dtype = torch.float32) -> RegressionModel:
    """Means and spreads of 28 x 28 pixels."""
    return RegressionModel(at_precision(patch_unet(2, 2, device).requires_grad_(False), dtype), (1, 28, 28))


def conditional(device: torch.device = CPU, dtype: torch.dtype = torch.float32) -> ConditionalModel:
    """A conditional denoiser of 28 x 28 pixels."""
    forward = at_precision(patch_unet(4, 1, device).requires_grad_(False), dtype)
    return ConditionalModel(forward, VPSDE(), 1e-3, (1, 28, 28))


def miwae(device: torch.device = CPU, dtype: torch.dtype = torch.float32) -> MIWAEModel:
    """An importance-weighted autoencoder of 28 x 28 pixels."""
    network = autoencoder(device, channels=2).requires_grad_(False)
    return MIWAEModel(at_precision(network.encoder, dtype), at_precision(network.decoder, dtype), (1, 28, 28))


GENERATORS: dict[str, Callable[..., Callable[..., Tensor]]] = {
    "ldmiss": lambda device, steps, dtype=torch.float32: partial(ldmiss(device, dtype).generate, num_steps=steps),
    "ddpm": lambda device, steps, dtype=torch.float32: partial(ddpm(device, dtype).generate, num_steps=steps),
    "diffputer": lambda device, steps, dtype=torch.float32: partial(diffputer(device, dtype).generate, num_steps=steps),
}
"""(device, number of steps, dtype of the layers = float32) -> (number of rows, noise) -> images."""
IMPUTERS: dict[str, Callable[..., Callable[..., Tensor]]] = {
    "ldmiss-guidance": lambda device, steps, dtype=torch.float32: partial(
        ldmiss(device, dtype).impute_by_guidance, num_steps=steps
    ),
    "ddpm-guidance": lambda device, steps, dtype=torch.float32: partial(
        ddpm(device, dtype).impute_by_guidance, num_steps=steps
    ),
    "ldmiss-moment-matching": lambda device, steps, dtype=torch.float32: partial(
        ldmiss(device, dtype).impute_by_moment_matching, num_steps=steps
    ),
    "ldmiss-posterior": lambda device, steps, dtype=torch.float32: partial(
        posterior(device, dtype, steps).impute, noise_sd=0.1, residual=residual(device)
    ),
    "ddpm-moment-matching": lambda device, steps, dtype=torch.float32: partial(
        ddpm(device, dtype).impute_by_moment_matching, num_steps=steps
    ),
    "ddpm-replacement": lambda device, steps, dtype=torch.float32: partial(
        ddpm(device, dtype).impute_by_replacement, num_steps=steps
    ),
    "conditional-diffusion": lambda device, steps, dtype=torch.float32: partial(
        conditional(device, dtype).impute, num_steps=steps
    ),
    "miwae-draws": lambda device, steps, dtype=torch.float32: partial(
        miwae(device, dtype).impute_draw, num_samples=steps
    ),
    "miwae-mean": lambda device, steps, dtype=torch.float32: partial(
        miwae(device, dtype).impute_mean, num_samples=steps
    ),
    "unet-regression": lambda device, steps, dtype=torch.float32: regression(device, dtype).impute_mean,
    "unet-regression-draws": lambda device, steps, dtype=torch.float32: regression(device, dtype).impute_draw,
    "diffputer-replacement": lambda device, steps, dtype=torch.float32: partial(
        diffputer(device, dtype).impute, sampling=Sampling(steps, 2)
    ),
}
"""(device, number of steps, dtype of the layers = float32) -> (images, observed, noise) -> images."""
