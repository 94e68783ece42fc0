"""Denoising score matching, unreduced, and its reduction over observed values (paper Eq. 1-3)."""

import torch
from torch import Tensor

from ldmiss.diffusion.parameterization import EpsFn
from ldmiss.diffusion.sde import VPSDE


def sample_times(num: int, tau: float, generator: torch.Generator) -> Tensor:
    """t ~ U(tau, 1), float32 (num,), on the generator's device (Eq. 1)."""
    return tau + (1 - tau) * torch.rand(num, generator=generator, device=generator.device)


def score_matching_loss(eps_fn: EpsFn, sde: VPSDE, x_0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
    """Eq. 2 with lambda_t = sigma_t^2, per element.

    sigma_t^2 |s + eps/sigma_t|^2 = |eps_theta - eps|^2, because s = -eps_theta / sigma_t.

    Args:
        eps_fn: the eps-network.
        sde: the forward process.
        x_0: data, (B, ...).
        t: times, (B,).
        eps: standard normal noise, (B, ...).

    Returns:
        (B, ...), the squared error of each element.
    """
    return (eps_fn(sde.perturb(x_0, t, eps), t) - eps) ** 2


def mean_over_observed(loss: Tensor, observed: Tensor) -> Tensor:
    """The missing dimensions factored out, normalised by the number of observed ones: (B, ...) -> (B,) (Eq. 3).

    `where`, not a product: NaN * 0 is NaN. Rows with nothing observed give 0.
    """
    num_observed = observed.flatten(1).sum(1).clamp(min=1)
    return torch.where(observed, loss, 0.0).flatten(1).sum(1) / num_observed
