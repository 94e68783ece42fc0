"""The score network of LDMiss, trained on scaled latents (paper section 3 and appendix B)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ldmiss.checkpoints import NO_CHECKPOINT, Checkpoint
from ldmiss.checks import check_array, check_choice, check_finite, check_number
from ldmiss.diffusion.losses import WEIGHTINGS
from ldmiss.diffusion.objectives import latent_score_loss
from ldmiss.diffusion.sde import VPSDE
from ldmiss.diffusion.unet import UNet
from ldmiss.networks.layers import at_precision, init_fan_avg
from ldmiss.training.fit import FittedNetwork, fit_network
from ldmiss.training.loop import Recipe


def fit_ldm(
    latents: Tensor,
    *,
    network: Mapping[str, Any],
    recipe: Recipe,
    seed: int,
    sde: VPSDE = VPSDE(),  # noqa: B008 - immutable
    tau: float = 1e-3,
    weighting: str = "simple",
    dtype: torch.dtype = torch.float32,
    checkpoint: Checkpoint = NO_CHECKPOINT,
    progress: bool = True,
) -> FittedNetwork:
    """Train the latent score network.

    Args:
        latents: float32 (N, C, h, w) of the training images, finite, scaled to unit variance, on the device that
            trains.
        network: arguments of `UNet`, without the shape of the data.
        recipe: how it is trained.
        seed: root of all draws.
        sde: the forward process.
        tau: smallest training time.
        weighting: lambda_t of Eq. 2, "simple" or "likelihood".
        dtype: precision of the network's layers, float32 or bfloat16.
        checkpoint, progress: see `fit_network`.

    Raises:
        InputError: latents or settings of another shape, dtype or range.
        DivergenceError: a loss or a weight is not finite.
    """
    check_array("latents", latents, ("N", "C", "h", "w"), "float32")
    check_finite("latents", latents)
    check_number("tau", tau, above=0, below=1)
    check_choice("weighting", weighting, WEIGHTINGS)
    config = {"in_channels": latents.shape[1], **network}
    return fit_network(
        UNet, config,
        lambda unet: latent_score_loss(at_precision(unet, dtype), sde, latents, tau=tau, weighting=weighting),
        name="ldmiss", init=init_fan_avg, num_items=len(latents), recipe=recipe, seed=seed, device=latents.device,
        checkpoint=checkpoint, progress=progress,
    )  # fmt: skip
