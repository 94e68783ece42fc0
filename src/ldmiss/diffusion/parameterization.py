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
