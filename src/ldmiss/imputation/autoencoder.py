"""Autoencoder reconstruction as an imputer (the paper's baseline of section 6.2)."""

from collections.abc import Callable

import torch
from torch import Tensor

from ldmiss.pixels import fill_missing, network_from_unit, unit_from_network


@torch.no_grad()
def impute_autoencoder(
    encoder: Callable[[Tensor], Tensor],
    decoder: Callable[[Tensor], Tensor],
    x_obs: Tensor,
    observed: Tensor,
    *,
    fill: float,
) -> Tensor:
    """D(posterior mean of the filled image): x_obs in [0, 1] and observed (B, 1, H, W) -> (B, 1, H, W).

    Args:
        encoder: images in [-1, 1] to mean and log-variance, stacked along channels.
        decoder: latents to images in [-1, 1].
        fill: the value at missing pixels the encoder was trained with, in [0, 1] units.
    """
    mean, _ = encoder(network_from_unit(fill_missing(x_obs, observed, fill))).chunk(2, dim=1)
    return unit_from_network(decoder(mean))
