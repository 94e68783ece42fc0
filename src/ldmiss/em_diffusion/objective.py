"""What the prior's network minimises on a batch of completed images."""

from collections.abc import Callable

import torch
from torch import Tensor

from ldmiss.core.pixels import network_from_scaled
from ldmiss.core.shapes import append_dims
from ldmiss.diffusion.losses import sample_times
from ldmiss.diffusion.parameterization import EpsFn, velocity
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


def eps_of_velocity(forward: Callable[[Tensor, Tensor], Tensor], sde: VPSDE) -> EpsFn:
    """The noise that a network of velocities predicts: eps = sigma_t x_t + alpha_t v."""

    def eps(x_t: Tensor, t: Tensor) -> Tensor:
        alpha_t, sigma_t = sde.marginal_prob(t)
        return append_dims(sigma_t, x_t) * x_t + append_dims(alpha_t, x_t) * forward(x_t, t)

    return eps
