"""What the conditional denoiser minimises on a batch: denoising of hidden pixels, given the others."""

from collections.abc import Callable

import torch
from torch import Tensor

from ldmiss.core.pixels import network_from_scaled, show_known
from ldmiss.diffusion.losses import sample_times
from ldmiss.diffusion.parameterization import velocity
from ldmiss.diffusion.sde import VPSDE
from ldmiss.remasking.network import VALUE_RANGE, show_scaled
from ldmiss.remasking.split import split_known
from ldmiss.training.loop import BatchLoss


def conditional_loss(
    forward: Callable[..., Tensor], sde: VPSDE, images: Tensor, observed: Tensor, *, tau: float, min_kept: float
) -> BatchLoss:
    """Squared error of the velocity of hidden pixels, noised to a random time, given the pixels that are not hidden.

    Pixels that are truly missing are shown as neither, and count for nothing.

    Args:
        forward: network(what is given and what is noisy, t, generator) -> velocity (B, C, H, W).
        sde: the forward process.
        images: float32 (N, C, H, W), scaled; observed: bool (N, C, H, W).
        tau: smallest training time.
        min_kept: see `split_known`.
    """

    def loss(batch: Tensor, generator: torch.Generator) -> Tensor:
        x = images[batch]
        given, hidden = split_known(observed[batch], generator, min_kept=min_kept)
        t = sample_times(len(x), tau, generator)
        eps = torch.randn(x.shape, generator=generator, device=generator.device)
        x_0 = network_from_scaled(torch.where(hidden, x, 0.0), VALUE_RANGE)
        x_t = sde.perturb(x_0, t, eps)
        predicted = forward(torch.cat([show_scaled(x, given), show_known(x_t, hidden)], dim=1), t, generator)
        squared = (predicted - velocity(sde, x_0, t, eps)).square()
        return torch.where(hidden, squared, 0.0).sum() / hidden.sum().clamp(min=1)

    return loss
