"""What the autoencoder minimises on a batch (paper 4.1 and A.1.2)."""

from collections.abc import Callable

import torch
from torch import Tensor

from ldmiss.autoencoding.elbo import masked_negative_elbo
from ldmiss.autoencoding.encoder_input import EncoderInput, remask
from ldmiss.autoencoding.posterior import DiagonalGaussian
from ldmiss.core.pixels import network_from_scaled
from ldmiss.training.loop import BatchLoss


def autoencoder_loss(
    encoder: Callable[[Tensor], Tensor],
    decoder: Callable[[Tensor], Tensor],
    images: Tensor,
    observed: Tensor,
    *,
    kl_weight: float,
    encoder_input: EncoderInput,
) -> BatchLoss:
    """The masked beta-VAE objective on incomplete images (paper 4.1 and A.1.2).

    The reconstruction counts on all observed pixels, also on those that the robust recipe hides from the encoder.

    Args:
        encoder: what `encoder_input` gives to mean and log-variance, stacked along channels.
        decoder: latents to images in the networks' range.
        images: float32 (N, C, H, W), scaled; observed: bool (N, C, H, W).
        kl_weight: beta_KL.
        encoder_input: what the encoder sees of an incomplete image.
    """

    def loss(batch: Tensor, generator: torch.Generator) -> Tensor:
        observed_pixels = observed[batch]
        x = images[batch]
        seen = remask(observed_pixels, generator) if encoder_input.robust else observed_pixels
        posterior = DiagonalGaussian(*encoder(encoder_input(x, seen)).chunk(2, dim=1))
        eps = torch.randn(posterior.mean.shape, generator=generator, device=generator.device)
        x_hat, target = decoder(posterior.sample(eps)), network_from_scaled(x, encoder_input.value_range)
        return masked_negative_elbo(target, x_hat, observed_pixels, posterior.kl(), kl_weight=kl_weight)

    return loss
