"""Importance weights of latents given the observed pixels (Mattei & Frellsen 2019, "MIWAE", sections 2 and 3)."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ldmiss.autoencoding.posterior import DiagonalGaussian
from ldmiss.core.pixels import network_from_scaled, scaled_from_network, show_known
from ldmiss.networks.outputs import mean_and_sd

VALUE_RANGE = "symmetric"
"""Of the pixels that the networks see, one of `ldmiss.core.pixels.RANGES`."""
MIN_SD = 0.02
"""Least sd of a pixel given the latents, a hundredth of the networks' range: without one the background of digits,
which never varies, would outweigh all else."""

LOG_2PI = math.log(2 * math.pi)


def encode(encoder: Callable[[Tensor], Tensor], x: Tensor, observed: Tensor) -> DiagonalGaussian:
    """The proposal q(z | x_obs); x, scaled, and observed (B, C, H, W). Zeros are shown where nothing is observed."""
    known = show_known(network_from_scaled(x, VALUE_RANGE), observed)
    return DiagonalGaussian(*encoder(known).chunk(2, dim=1))


def log_weights(
    proposal: DiagonalGaussian, eps: Tensor, decoder: Callable[[Tensor], Tensor], x: Tensor, observed: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """log p(x_obs | z) + log p(z) - log q(z | x_obs), for z = mean + sd eps, with p(z) standard normal.

    Args:
        proposal: for B images.
        eps: standard normal, (B, *latents).
        decoder: latents to mean and raw sd, stacked along channels, see `mean_and_sd`.
        x: scaled, (B, C, H, W); values at missing pixels are never used.
        observed: bool, of the same shape.

    Returns:
        log weights (B,), and mean and sd of all pixels given z, in the networks' range, (B, C, H, W).
    """
    z = proposal.sample(eps)
    mean, sd = mean_and_sd(decoder(z), MIN_SD)
    target = network_from_scaled(torch.where(observed, x, 0.0), VALUE_RANGE)  # a gradient times NaN is NaN
    of_pixels = -0.5 * (((target - mean) / sd).square() + LOG_2PI) - sd.log()
    likelihood = torch.where(observed, of_pixels, 0.0).flatten(1).sum(1)
    log_prior = -0.5 * (z.square() + LOG_2PI).flatten(1).sum(1)
    log_proposal = -0.5 * (eps.square() + LOG_2PI + proposal.log_var).flatten(1).sum(1)
    return likelihood + log_prior - log_proposal, mean, sd


def to_scaled(x: Tensor) -> Tensor:
    """The networks' range to scaled values."""
    return scaled_from_network(x, VALUE_RANGE)
