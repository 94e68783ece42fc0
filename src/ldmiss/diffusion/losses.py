"""Denoising score matching, unreduced, and its reduction over observed values (paper Eq. 1-3)."""

from collections.abc import Callable

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


WEIGHTINGS = ("simple", "likelihood")
"""lambda_t of Eq. 1-3 by name, see `loss_weight`."""


def loss_weight(sde: VPSDE, t: Tensor, weighting: str) -> Tensor:
    """lambda_t of Eq. 1-3 relative to sigma_t^2, which `score_matching_loss` has; shape of t.

    "simple": lambda_t = sigma_t^2, 1 here (Ho et al. 2020; Song's default). "likelihood": lambda_t = g(t)^2 = beta(t),
    beta / sigma^2 here (Song et al. 2021, "Maximum likelihood training of score-based diffusion models").

    Raises:
        ValueError: unknown weighting.
    """
    if weighting == "simple":
        return torch.ones_like(t)
    if weighting == "likelihood":
        return sde.beta(t) / sde.marginal_prob(t)[1] ** 2
    raise ValueError(f"unknown loss weighting {weighting!r}; allowed: simple, likelihood")


def mean_over_observed(loss: Tensor, observed: Tensor) -> Tensor:
    """The missing dimensions factored out, normalised by the number of observed ones: (B, ...) -> (B,) (Eq. 3).

    `where`, not a product: NaN * 0 is NaN. Rows with nothing observed give 0.
    """
    num_observed = observed.flatten(1).sum(1).clamp(min=1)
    return torch.where(observed, loss, 0.0).flatten(1).sum(1) / num_observed


def mean_over_observed_batch(loss: Tensor, observed: Tensor) -> Tensor:
    """The mean over observed values, divided once, by the number observed in the whole batch (MissDiff's code); ()."""
    return torch.where(observed, loss, 0.0).sum() / observed.sum().clamp(min=1)


OBSERVED_MEANS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "per_sample": mean_over_observed,
    "batch": mean_over_observed_batch,
}
"""The normalizers of Eq. 3 by name: (loss, observed), both (B, ...), to values whose mean is the batch's loss."""
