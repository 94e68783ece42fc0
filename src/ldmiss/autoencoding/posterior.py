"""The diagonal Gaussian posterior q(z | x) (paper section 3; Rombach et al. 2022, `distributions.py`)."""

from dataclasses import dataclass

from torch import Tensor

LOG_VAR_RANGE = (-30.0, 20.0)


@dataclass(frozen=True)
class DiagonalGaussian:
    """N(mean, diag(exp(log_var))), both (B, C, h, w); log-variances are clamped to [-30, 20]."""

    mean: Tensor
    log_var: Tensor

    def __post_init__(self) -> None:
        object.__setattr__(self, "log_var", self.log_var.clamp(*LOG_VAR_RANGE))

    def sample(self, eps: Tensor) -> Tensor:
        """mean + std * eps, for standard normal eps of the same shape."""
        return self.mean + (0.5 * self.log_var).exp() * eps

    def kl(self) -> Tensor:
        """KL(q || N(0, I)) in nats, summed over each row's latents: (B,)."""
        terms = self.mean**2 + self.log_var.exp() - 1 - self.log_var
        return 0.5 * terms.flatten(1).sum(1)
