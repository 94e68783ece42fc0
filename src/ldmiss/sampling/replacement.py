"""Replacement: the observed dimensions are overwritten by the noised observation (paper 5; Song et al. 2021)."""

import torch
from torch import Tensor

from ldmiss.core.noise import NoiseFn
from ldmiss.diffusion.sde import VPSDE
from ldmiss.sampling.samplers import Condition


def replace_observed(sde: VPSDE, x_0: Tensor, observed: Tensor, noise: NoiseFn) -> Condition:
    """A condition for a sampler: observed dimensions follow the forward process of the known values.

    Noised at the time the state has *reached* (as RePaint and DiffPuter do); at t = 0 they are the observation itself.

    Args:
        sde: the forward process.
        x_0: the observation, (B, ...); values at missing positions are never used.
        observed: bool (B, ...).
        noise: the source of the forward noise.
    """

    def condition(x: Tensor, t: Tensor) -> Tensor:
        return torch.where(observed, sde.perturb(x_0, t, noise(x)), x)

    return condition
