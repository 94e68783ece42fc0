"""What the prior's network minimises on a batch of completed images."""

from collections.abc import Callable

import torch
from torch import Tensor

from ldmiss.core.pixels import network_from_scaled
from ldmiss.diffusion.losses import sample_times
from ldmiss.diffusion.parameterization import velocity
from ldmiss.diffusion.sde import VPSDE
from ldmiss.remasking.network import VALUE_RANGE
from ldmiss.training.loop import BatchLoss


def prior_loss(forward: Callable[..., Tensor], sde: VPSDE, images: Tensor, *, tau: float) -> BatchLoss:
    """Squared error of the velocity, of all pixels alike, known or completed.

    Args:
        forward: network(x_t, t, generator) -> velocity (B, C, H, W).
        sde: the forward process.
        images: float32 (N, C, H, W), scaled, complete.
        tau: smallest training time.
    """

    def loss(batch: Tensor, generator: torch.Generator) -> Tensor:
        x_0 = network_from_scaled(images[batch], VALUE_RANGE)
        t = sample_times(len(x_0), tau, generator)
        eps = torch.randn(x_0.shape, generator=generator, device=generator.device)
        predicted = forward(sde.perturb(x_0, t, eps), t, generator)
        return (predicted - velocity(sde, x_0, t, eps)).square().mean()

    return loss
