"""The variance-preserving SDE (paper section 2 and Eq. 7; Song et al. 2021, section 3.4 and appendix B)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ldmiss.diffusion.broadcast import append_dims


@dataclass(frozen=True)
class VPSDE:
    """dx = -1/2 beta(t) x dt + sqrt(beta(t)) dw on t in [0, 1], with beta(t) = beta_min + t (beta_max - beta_min).

    t = 0 is the data, t = 1 the prior N(0, I). Times are float tensors of shape (B,) or ().
    """

    beta_min: float = 0.1
    beta_max: float = 20.0

    def beta(self, t: Tensor) -> Tensor:
        """The noise rate beta(t), Eq. 7; shape of t."""
        return self.beta_min + t * (self.beta_max - self.beta_min)

    def marginal_prob(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """(alpha_t, sigma_t) of the transition kernel x_t | x_0 ~ N(alpha_t x_0, sigma_t^2 I); shapes of t.

        sigma^2 = 1 - alpha^2 is computed by expm1: the difference would cancel in float32 at small t.
        """
        log_alpha = -0.25 * t**2 * (self.beta_max - self.beta_min) - 0.5 * t * self.beta_min
        return log_alpha.exp(), (-torch.expm1(2 * log_alpha)).sqrt()

    def perturb(self, x_0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """x_t = alpha_t x_0 + sigma_t eps: a draw from the transition kernel, (B, ...)."""
        alpha_t, sigma_t = self.marginal_prob(t)
        return append_dims(alpha_t, x_0) * x_0 + append_dims(sigma_t, x_0) * eps

    def drift(self, x: Tensor, t: Tensor) -> Tensor:
        """The forward drift -1/2 beta(t) x, (B, ...)."""
        return -0.5 * append_dims(self.beta(t), x) * x

    def diffusion(self, t: Tensor) -> Tensor:
        """The diffusion coefficient g(t) = sqrt(beta(t)); shape of t."""
        return self.beta(t).sqrt()
