"""What DiffPuter's network minimises on a batch of completed rows."""

import torch
from torch import Tensor

from ldmiss.diffputer.edm import DenoiseFn, edm_loss, sample_sigmas
from ldmiss.diffputer.em import SIGMA_DATA
from ldmiss.training.loop import BatchLoss


def m_step_loss(denoise: DenoiseFn, rows: Tensor) -> BatchLoss:
    """EDM's loss on completed, normalised rows (N, d), mean over all coordinates, observed or imputed."""

    def loss(batch: Tensor, generator: torch.Generator) -> Tensor:
        x_0 = rows[batch]
        sigma = sample_sigmas(len(x_0), generator)
        eps = torch.randn(x_0.shape, generator=generator, device=generator.device)
        return edm_loss(denoise, x_0, sigma, eps, sigma_data=SIGMA_DATA).mean()

    return loss
