"""What MIWAE maximises on a batch: the importance-weighted bound on log p(x_obs)."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ldmiss.miwae.importance import encode, log_weights
from ldmiss.training.loop import BatchLoss


def importance_weighted_loss(
    encoder: Callable[[Tensor], Tensor],
    decoder: Callable[[Tensor], Tensor],
    images: Tensor,
    observed: Tensor,
    *,
    num_samples: int,
) -> BatchLoss:
    """-log (1/K) sum_k w_k, mean over images, in nats per value of an image (Mattei & Frellsen 2019, Eq. 4).

    Args:
        encoder: what is known to mean and log-variance of the latents, stacked along channels.
        decoder: latents to mean and raw sd of the pixels, stacked along channels.
        images: float32 (N, C, H, W), scaled; observed: bool (N, C, H, W).
        num_samples: K.
    """

    def loss(batch: Tensor, generator: torch.Generator) -> Tensor:
        x, known = images[batch], observed[batch]
        proposal = encode(encoder, x, known)
        weights = []
        for _ in range(num_samples):
            eps = torch.randn(proposal.mean.shape, generator=generator, device=generator.device)
            weights.append(log_weights(proposal, eps, decoder, x, known)[0])
        bound = torch.stack(weights).logsumexp(0) - math.log(num_samples)
        return -bound.mean() / x[0].numel()

    return loss
