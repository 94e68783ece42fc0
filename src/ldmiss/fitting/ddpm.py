"""The pixel-space score network, trained with the loss on observed pixels (MissDiff; paper 4.1, Eq. 3)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ldmiss.checkpoints import NO_CHECKPOINT, Checkpoint
from ldmiss.checks import check_choice, check_incomplete_images, check_number
from ldmiss.core.fill import FILLS, fill_image
from ldmiss.core.pixels import RANGES
from ldmiss.diffusion.losses import OBSERVED_MEANS, WEIGHTINGS
from ldmiss.diffusion.objectives import pixel_score_loss
from ldmiss.diffusion.sde import VPSDE
from ldmiss.diffusion.unet import UNet
from ldmiss.networks.layers import at_precision, init_fan_avg
from ldmiss.training.fit import FittedNetwork, fit_network
from ldmiss.training.loop import Recipe


def fit_ddpm(
    images: Tensor,
    observed: Tensor,
    *,
    network: Mapping[str, Any],
    recipe: Recipe,
    seed: int,
    sde: VPSDE = VPSDE(),  # noqa: B008 - immutable
    tau: float = 1e-3,
    weighting: str = "simple",
    normalizer: str = "per_sample",
    fill: str = "black",
    value_range: str = "symmetric",
    dtype: torch.dtype = torch.float32,
    checkpoint: Checkpoint = NO_CHECKPOINT,
    progress: bool = True,
) -> FittedNetwork:
    """Train the pixel score network.

    Args:
        images: float32 (N, C, H, W), scaled, on the device that trains; values at missing pixels are never used.
        observed: bool (N, C, H, W), True where a pixel is known; at least one is.
        network: arguments of `UNet`, without the shape of the data.
        recipe: how it is trained.
        seed: root of all draws.
        sde: the forward process.
        tau: smallest training time.
        weighting: lambda_t of Eq. 3, "simple" or "likelihood".
        normalizer: of the loss on observed pixels, one of `ldmiss.diffusion.losses.OBSERVED_MEANS`.
        fill: what the network sees at missing pixels, one of `ldmiss.core.fill.FILLS`.
        value_range: of the pixels that the network sees, one of `ldmiss.core.pixels.RANGES`.
        dtype: precision of the network's layers, float32 or bfloat16.
        checkpoint, progress: see `fit_network`.

    Raises:
        InputError: images, indicators or settings of another shape, dtype or range.
        DivergenceError: a loss or a weight is not finite.
    """
    check_incomplete_images(images, observed)
    check_number("tau", tau, above=0, below=1)
    for name, value, allowed in (
        ("weighting", weighting, WEIGHTINGS), ("normalizer", normalizer, OBSERVED_MEANS),
        ("fill", fill, FILLS), ("value_range", value_range, RANGES),
    ):  # fmt: skip
        check_choice(name, value, allowed)
    config = {"in_channels": images.shape[1], **network}
    at_missing = fill_image(fill, images, observed)
    return fit_network(
        UNet, config,
        lambda unet: pixel_score_loss(
            at_precision(unet, dtype), sde, images, observed, tau=tau, weighting=weighting, normalizer=normalizer,
            fill=at_missing, value_range=value_range,
        ),
        name="ddpm", init=init_fan_avg, num_items=len(images), recipe=recipe, seed=seed, device=images.device,
        checkpoint=checkpoint, progress=progress,
    )  # fmt: skip
