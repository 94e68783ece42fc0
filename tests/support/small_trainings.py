"""Every kind of training on a few random images, with the networks of `small_models`."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ldmiss.autoencoding.encoder_input import EncoderInput
from ldmiss.autoencoding.objective import autoencoder_loss
from ldmiss.classifier.network import Classifier
from ldmiss.classifier.objective import classifier_loss
from ldmiss.conditional.objective import conditional_loss
from ldmiss.core.noise import torch_generator
from ldmiss.diffputer.edm import Preconditioned
from ldmiss.diffputer.em import SIGMA_DATA
from ldmiss.diffputer.objective import m_step_loss
from ldmiss.diffusion.objectives import latent_score_loss, pixel_score_loss
from ldmiss.diffusion.sde import VPSDE
from ldmiss.em_diffusion.objective import prior_loss
from ldmiss.miwae.objective import importance_weighted_loss
from ldmiss.networks.layers import at_precision, build, init_torch_default
from ldmiss.regression.objective import regression_loss
from ldmiss.training.loop import BatchLoss
from support.small_models import autoencoder, mlp, patch_unet, unet

ROWS = 8


def incomplete(device: torch.device) -> tuple[Tensor, Tensor]:
    """Images in [0, 1] and observed, (ROWS, 1, 28, 28), on the device."""
    generator = torch_generator("cpu", 0, "images")
    images = torch.randint(0, 256, (ROWS, 1, 28, 28), generator=generator).float() / 255
    return images.to(device), (torch.rand(images.shape, generator=generator) < 0.5).to(device)


def _vae(device: torch.device, dtype: torch.dtype) -> tuple[nn.Module, BatchLoss]:
    network, (images, observed) = autoencoder(device), incomplete(device)
    encoder, decoder = (at_precision(part, dtype) for part in (network.encoder, network.decoder))
    fill = EncoderInput(torch.zeros(1, device=device), "symmetric", robust=False)
    return network, autoencoder_loss(encoder, decoder, images, observed, kl_weight=1e-3, encoder_input=fill)


def _ldmiss(device: torch.device, dtype: torch.dtype) -> tuple[nn.Module, BatchLoss]:
    network = unet(2, device, attention=True)
    latents = torch.randn(ROWS, 2, 7, 7, generator=torch_generator("cpu", 0, "latents")).to(device)
    return network, latent_score_loss(at_precision(network, dtype), VPSDE(), latents, tau=1e-3)


def _ddpm(device: torch.device, dtype: torch.dtype) -> tuple[nn.Module, BatchLoss]:
    network, (images, observed) = unet(1, device), incomplete(device)
    return network, pixel_score_loss(
        at_precision(network, dtype), VPSDE(), images, observed,
        tau=1e-3, fill=torch.zeros(1, device=device), value_range="symmetric",
    )  # fmt: skip


def _diffputer(device: torch.device, dtype: torch.dtype) -> tuple[nn.Module, BatchLoss]:
    network = mlp(device)
    rows = torch.randn(ROWS, 784, generator=torch_generator("cpu", 0, "rows")).to(device)
    return network, m_step_loss(Preconditioned(at_precision(network, dtype), SIGMA_DATA), rows)


def _classifier(device: torch.device, dtype: torch.dtype) -> tuple[nn.Module, BatchLoss]:
    generator = torch_generator("cpu", 0, "classifier")
    network = build(
        lambda: Classifier(shape=(1, 28, 28), num_classes=10, dropout=0.25), device, init_torch_default, generator
    )
    images = (incomplete(device)[0] * 255).to(torch.uint8)
    return network, classifier_loss(at_precision(network, dtype), images, torch.arange(ROWS, device=device) % 10)


def _regression(device: torch.device, dtype: torch.dtype) -> tuple[nn.Module, BatchLoss]:
    network = patch_unet(2, 2, device)
    return network, regression_loss(at_precision(network, dtype), *incomplete(device), min_kept=0.2)


def _conditional(device: torch.device, dtype: torch.dtype) -> tuple[nn.Module, BatchLoss]:
    network = patch_unet(4, 1, device)
    return network, conditional_loss(at_precision(network, dtype), VPSDE(), *incomplete(device), tau=1e-3, min_kept=0.2)


def _em_diffusion(device: torch.device, dtype: torch.dtype) -> tuple[nn.Module, BatchLoss]:
    network = patch_unet(1, 1, device)
    return network, prior_loss(at_precision(network, dtype), VPSDE(), incomplete(device)[0], tau=1e-3)


def _miwae(device: torch.device, dtype: torch.dtype) -> tuple[nn.Module, BatchLoss]:
    network = autoencoder(device, channels=2)
    encoder, decoder = (at_precision(part, dtype) for part in (network.encoder, network.decoder))
    return network, importance_weighted_loss(encoder, decoder, *incomplete(device), num_samples=2)


TRAININGS: dict[str, Callable[[torch.device, torch.dtype], tuple[nn.Module, BatchLoss]]] = {
    "vae": _vae, "ldmiss": _ldmiss, "ddpm": _ddpm, "diffputer": _diffputer, "classifier": _classifier,
    "regression": _regression, "conditional": _conditional, "em_diffusion": _em_diffusion,
    "miwae": _miwae,
}  # fmt: skip
"""(device, dtype of the layers) -> a network at random and its loss on batches of ROWS items."""
