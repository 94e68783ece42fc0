"""Between noise, score and clean data: named conversions, and the denoiser everything downstream sees.

All follow from x_t = alpha_t x_0 + sigma_t eps and, by Tweedie's formula (Efron 2011), from
E[x_0 | x_t] = (x_t + sigma_t^2 score) / alpha_t.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from ldmiss.core.shapes import append_dims
from ldmiss.diffusion.sde import VPSDE

ScoreFn = Callable[[Tensor, Tensor], Tensor]
"""(x_t (B, ...), t () or (B,)) -> score (B, ...), the gradient of log p_t at x_t."""

EpsFn = Callable[[Tensor, Tensor], Tensor]
"""(x_t (B, ...), t () or (B,)) -> predicted noise eps (B, ...)."""


def score_from_eps(eps: Tensor, sigma_t: Tensor) -> Tensor:
    """score = -eps / sigma_t."""
    return -eps / append_dims(sigma_t, eps)


def x_0_from_eps(x_t: Tensor, eps: Tensor, alpha_t: Tensor, sigma_t: Tensor) -> Tensor:
    """x_0 = (x_t - sigma_t eps) / alpha_t: the posterior mean if eps is the expected noise (Tweedie)."""
    return (x_t - append_dims(sigma_t, x_t) * eps) / append_dims(alpha_t, x_t)


def score_from_x_0(x_t: Tensor, x_0: Tensor, alpha_t: Tensor, sigma_t: Tensor) -> Tensor:
    """score = (alpha_t x_0 - x_t) / sigma_t^2, x_0 the posterior mean (Tweedie)."""
    return (append_dims(alpha_t, x_t) * x_0 - x_t) / append_dims(sigma_t, x_t) ** 2


def velocity(sde: VPSDE, x_0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
    """v = alpha_t eps - sigma_t x_0 (Salimans & Ho 2022), which a network can predict at all times alike.

    The posterior mean is alpha_t x_t - sigma_t E[v], see `x_0_from_velocity`: near t = 1 an error of the network stays
    what it is, where that of a predicted eps counts 1 / alpha_t = 152 times.
    """
    alpha_t, sigma_t = sde.marginal_prob(t)
    return append_dims(alpha_t, x_0) * eps - append_dims(sigma_t, x_0) * x_0


def x_0_from_velocity(x_t: Tensor, v: Tensor, alpha_t: Tensor, sigma_t: Tensor) -> Tensor:
    """x_0 = alpha_t x_t - sigma_t v: the posterior mean if v is the expected velocity."""
    return append_dims(alpha_t, x_t) * x_t - append_dims(sigma_t, x_t) * v


def eps_from_velocity(forward: EpsFn, sde: VPSDE) -> EpsFn:
    """The noise that a network of velocities (x_t, t) -> v predicts: eps = sigma_t x_t + alpha_t v."""

    def eps(x_t: Tensor, t: Tensor) -> Tensor:
        alpha_t, sigma_t = sde.marginal_prob(t)
        return append_dims(sigma_t, x_t) * x_t + append_dims(alpha_t, x_t) * forward(x_t, t)

    return eps


@dataclass(frozen=True)
class Denoiser:
    """An eps-network and its SDE as one object: the currency of samplers, replacement and guidance."""

    eps_fn: EpsFn
    sde: VPSDE

    def score(self, x_t: Tensor, t: Tensor) -> Tensor:
        """The score of p_t at x_t, (B, ...)."""
        return score_from_eps(self.eps_fn(x_t, t), self.sde.marginal_prob(t)[1])

    def score_and_x_0(self, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """The score and the posterior mean E[x_0 | x_t], both (B, ...), for one network evaluation."""
        alpha_t, sigma_t = self.sde.marginal_prob(t)
        eps = self.eps_fn(x_t, t)
        return score_from_eps(eps, sigma_t), x_0_from_eps(x_t, eps, alpha_t, sigma_t)
