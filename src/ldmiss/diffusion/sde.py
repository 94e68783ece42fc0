"""The variance-preserving SDE (paper section 2 and Eq. 7; Song et al. 2021, section 3.4 and appendix B)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ldmiss.checks import check_number
from ldmiss.core.shapes import append_dims


@dataclass(frozen=True)
class VPSDE:
    """dx = -1/2 beta(t) x dt + sqrt(beta(t)) dw on t in [0, 1], with beta(t) = beta_min + t (beta_max - beta_min).

    t = 0 is the data, t = 1 the prior N(0, I). Times are float tensors of shape (B,) or (). The pipeline takes both
    numbers from conf/config.yaml, `diffusion`.

    Raises:
        InputError: not 0 < beta_min < beta_max.
    """

    beta_min: float = 0.1
    beta_max: float = 20.0

    def __post_init__(self) -> None:
        check_number("beta_min", self.beta_min, above=0)
        check_number("beta_max", self.beta_max, above=self.beta_min)

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

    def transition(self, x: Tensor, s: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """A draw of x_t given x_s, s < t: the forward process from a state that is noisy already, (B, ...)."""
        alpha_s, sigma_s = self.marginal_prob(s)
        alpha_t, sigma_t = self.marginal_prob(t)
        ratio = alpha_t / alpha_s
        std = (sigma_t**2 - (ratio * sigma_s) ** 2).clamp(min=0).sqrt()
        return append_dims(ratio, x) * x + append_dims(std, x) * eps

    def log_snr(self, t: Tensor) -> Tensor:
        """lambda_t = log(alpha_t / sigma_t), decreasing in t; shape of t."""
        alpha_t, sigma_t = self.marginal_prob(t)
        return (alpha_t / sigma_t).log()

    def time_of_log_snr(self, log_snr: Tensor) -> Tensor:
        """The inverse of `log_snr`, in closed form; shape of its argument."""
        log_alpha = -0.5 * torch.nn.functional.softplus(-2 * log_snr)
        slope = self.beta_max - self.beta_min
        return -2 * log_alpha / (0.5 * self.beta_min + (0.25 * self.beta_min**2 - slope * log_alpha).sqrt())

    def drift(self, x: Tensor, t: Tensor) -> Tensor:
        """The forward drift -1/2 beta(t) x, (B, ...)."""
        return -0.5 * append_dims(self.beta(t), x) * x

    def diffusion(self, t: Tensor) -> Tensor:
        """The diffusion coefficient g(t) = sqrt(beta(t)); shape of t."""
        return self.beta(t).sqrt()
