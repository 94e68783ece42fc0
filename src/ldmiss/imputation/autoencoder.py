"""Autoencoder reconstruction as an imputer (the paper's baseline of section 6.2)."""

from collections.abc import Callable

import torch
from torch import Tensor

from ldmiss.autoencoding.encoder_input import EncoderInput
from ldmiss.core.pixels import scaled_from_network


@torch.no_grad()
def impute_autoencoder(
    encoder: Callable[[Tensor], Tensor],
    decoder: Callable[[Tensor], Tensor],
    x_obs: Tensor,
    observed: Tensor,
    *,
    encoder_input: EncoderInput,
) -> Tensor:
    """D(posterior mean given the incomplete image): x_obs, scaled, and observed (B, C, H, W) -> (B, C, H, W).

    Args:
        encoder: what `encoder_input` gives to mean and log-variance, stacked along channels.
        decoder: latents to images in the networks' range.
        encoder_input: the one the encoder was trained with.
    """
    mean, _ = encoder(encoder_input(x_obs, observed)).chunk(2, dim=1)
    return scaled_from_network(decoder(mean), encoder_input.value_range)
