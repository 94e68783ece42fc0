"""What the autoencoder minimises on a batch (paper 4.1 and A.1.2)."""

from collections.abc import Callable

import torch
from torch import Tensor

from ldmiss.autoencoding.elbo import masked_negative_elbo
from ldmiss.autoencoding.posterior import DiagonalGaussian
from ldmiss.pixels import fill_missing, network_from_unit, unit_from_uint8
from ldmiss.training.loop import BatchLoss


def autoencoder_loss(
    encoder: Callable[[Tensor], Tensor],
    decoder: Callable[[Tensor], Tensor],
    images: Tensor,
    observed: Tensor,
    *,
    kl_weight: float,
    fill: float,
) -> BatchLoss:
    """The masked beta-VAE objective on zero-filled images (paper 4.1 and A.1.2).

    Args:
        encoder: images in [-1, 1] to mean and log-variance, stacked along channels.
        decoder: latents to images in [-1, 1].
        images: uint8 (N, 1, H, W); observed: bool (N, 1, H, W).
        fill: what the encoder sees at missing pixels, in [0, 1] units.
        kl_weight: beta_KL.
    """

    def loss(batch: Tensor, generator: torch.Generator) -> Tensor:
        known = observed[batch]
        x = network_from_unit(fill_missing(unit_from_uint8(images[batch]), known, fill))
        posterior = DiagonalGaussian(*encoder(x).chunk(2, dim=1))
        eps = torch.randn(posterior.mean.shape, generator=generator, device=generator.device)
        return masked_negative_elbo(x, decoder(posterior.sample(eps)), known, posterior.kl(), kl_weight=kl_weight)

    return loss
