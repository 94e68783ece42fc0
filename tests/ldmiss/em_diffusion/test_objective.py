"""The prior's loss, where the best network is known."""

import pytest
import torch
from support.exact import Mixture
from torch import Tensor

from ldmiss.diffusion.parameterization import Denoiser
from ldmiss.diffusion.sde import VPSDE
from ldmiss.em_diffusion.objective import prior_loss

SDE = VPSDE()


def test_the_exact_network_has_the_least_loss() -> None:
    """Images that are all one Gaussian: any other network does worse by its squared distance from the best one."""
    law = Mixture(torch.ones(1), torch.full((1, 16), 0.2, dtype=torch.float64), 0.09 * torch.eye(16)[None].double())
    generator = torch.Generator().manual_seed(1)
    network_range = 0.2 + 0.3 * torch.randn(20_000, 1, 4, 4, generator=generator)
    images = (network_range + 1) / 2
    denoiser: Denoiser = law.denoiser(SDE)

    def exact(x_t: Tensor, t: Tensor, generator: torch.Generator | None = None, error: float = 0.0) -> Tensor:
        alpha_t, sigma_t = (part[:, None, None, None] for part in SDE.marginal_prob(t))
        eps = denoiser.eps_fn(x_t.flatten(1), t).reshape(x_t.shape)
        return (eps - sigma_t * x_t) / alpha_t + error

    def loss(error: float) -> float:
        objective = prior_loss(lambda *inputs: exact(*inputs, error=error), SDE, images, tau=0.01)
        return float(objective(torch.arange(len(images)), torch.Generator().manual_seed(2)))

    least = loss(0.0)
    for error in (-0.3, 0.3):
        assert loss(error) == pytest.approx(least + error**2, rel=0.02)
