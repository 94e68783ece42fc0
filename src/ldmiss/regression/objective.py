"""What the regression U-Net minimises on a batch: squared error for the mean, likelihood for the spread."""

from collections.abc import Callable

import torch
from torch import Tensor

from ldmiss.core.pixels import network_from_scaled
from ldmiss.networks.outputs import mean_and_sd
from ldmiss.regression.constants import MIN_SD
from ldmiss.remasking.network import VALUE_RANGE, show_scaled
from ldmiss.remasking.split import split_known
from ldmiss.training.loop import BatchLoss

SPREAD_WEIGHT = 0.02
"""Of the likelihood beside the squared error: enough to learn the spread, too little to bend the mean."""


def regression_loss(forward: Callable[..., Tensor], images: Tensor, observed: Tensor, *, min_kept: float) -> BatchLoss:
    """Squared error of hidden pixels, and the Gaussian log-likelihood of their spread about the mean as it stands.

    The mean learns from the squared error alone: under the likelihood of both it would be slow where the spread is
    wide (Seitzer et al. 2022, "On the pitfalls of heteroscedastic uncertainty estimation").

    Args:
        forward: network(what is given, t, generator) -> outputs, see `mean_and_sd`.
        images: float32 (N, C, H, W), scaled; observed: bool (N, C, H, W).
        min_kept: see `split_known`.
    """

    def loss(batch: Tensor, generator: torch.Generator) -> Tensor:
        x = images[batch]
        given, hidden = split_known(observed[batch], generator, min_kept=min_kept)
        mean, sd = mean_and_sd(forward(show_scaled(x, given), x.new_zeros(()), generator), MIN_SD)
        target = network_from_scaled(torch.where(hidden, x, 0.0), VALUE_RANGE)  # a gradient times NaN is NaN
        squared = (target - mean).square()
        negative_likelihood = 0.5 * squared.detach() / sd.square() + sd.log()
        per_pixel = squared + SPREAD_WEIGHT * negative_likelihood
        return torch.where(hidden, per_pixel, 0.0).sum() / hidden.sum().clamp(min=1)

    return loss
