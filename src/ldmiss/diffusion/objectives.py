"""What the score networks minimise on a batch (paper Eq. 2 and 3)."""

from collections.abc import Callable

import torch
from torch import Tensor

from ldmiss.core.pixels import fill_missing, network_from_scaled
from ldmiss.core.shapes import append_dims
from ldmiss.diffusion.losses import OBSERVED_MEANS, loss_weight, sample_times, score_matching_loss
from ldmiss.diffusion.sde import VPSDE
from ldmiss.training.loop import BatchLoss


def latent_score_loss(
    forward: Callable[..., Tensor], sde: VPSDE, latents: Tensor, *, tau: float, weighting: str = "simple"
) -> BatchLoss:
    """Eq. 2 on scaled latents (N, C, h, w): every latent dimension counts (paper 4.1 and appendix B).

    Args:
        forward: network(z_t, t, generator) -> eps.
        sde: the forward process.
        latents: float (N, C, h, w).
        tau: smallest training time.
        weighting: lambda_t, see `loss_weight`.
    """

    def loss(batch: Tensor, generator: torch.Generator) -> Tensor:
        x_0 = latents[batch]
        return _score_loss(forward, sde, x_0, tau, weighting, generator).mean()

    return loss


def pixel_score_loss(
    forward: Callable[..., Tensor],
    sde: VPSDE,
    images: Tensor,
    observed: Tensor,
    *,
    tau: float,
    fill: Tensor,
    value_range: str,
    weighting: str = "simple",
    normalizer: str = "per_sample",
) -> BatchLoss:
    """Eq. 3 (MissDiff): filled images, loss on observed pixels only, divided by their number.

    Args:
        forward: network(x_t, t, generator) -> eps.
        images: float32 (N, C, H, W), scaled; observed: bool (N, C, H, W).
        tau: smallest training time.
        fill: what the network sees at missing pixels, scaled, broadcastable.
        value_range: of the network's pixels, one of `ldmiss.core.pixels.RANGES`.
        weighting: lambda_t, see `loss_weight`.
        normalizer: one of `OBSERVED_MEANS`.
    """

    def loss(batch: Tensor, generator: torch.Generator) -> Tensor:
        observed_pixels = observed[batch]
        x_0 = network_from_scaled(fill_missing(images[batch], observed_pixels, fill), value_range)
        loss = _score_loss(forward, sde, x_0, tau, weighting, generator)
        return OBSERVED_MEANS[normalizer](loss, observed_pixels).mean()

    return loss


def _score_loss(
    forward: Callable[..., Tensor], sde: VPSDE, x_0: Tensor, tau: float, weighting: str, generator: torch.Generator
) -> Tensor:
    t = sample_times(len(x_0), tau, generator)
    eps = torch.randn(x_0.shape, generator=generator, device=generator.device)
    loss = score_matching_loss(lambda x_t, times: forward(x_t, times, generator), sde, x_0, t, eps)
    return loss * append_dims(loss_weight(sde, t, weighting), loss)
