"""The conditional denoiser, trained on incomplete images by hiding more of them."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ldmiss.checkpoints import NO_CHECKPOINT, Checkpoint
from ldmiss.checks import check_incomplete_images, check_number
from ldmiss.conditional.objective import conditional_loss
from ldmiss.diffusion.sde import VPSDE
from ldmiss.fitting.method import FittedMethod
from ldmiss.networks.layers import at_precision, init_fan_avg
from ldmiss.remasking.network import PatchUNet
from ldmiss.training.fit import fit_network
from ldmiss.training.loop import Recipe


def fit(
    images: Tensor,
    observed: Tensor,
    *,
    network: Mapping[str, Any],
    recipe: Mapping[str, Any],
    diffusion: Mapping[str, float],
    min_kept: float,
    seed: int,
    dtype: torch.dtype = torch.float32,
    checkpoint: Checkpoint = NO_CHECKPOINT,
    progress: bool = True,
) -> FittedMethod:
    """Train the network.

    Args:
        images: float32 (N, C, H, W), scaled, on the device that trains; values at missing pixels are never used.
        observed: bool (N, C, H, W), True where a pixel is known; at least one is.
        network: arguments of `PatchUNet`, without the numbers of channels.
        recipe: arguments of `Recipe`.
        diffusion: "beta_min" and "beta_max" of the forward process, and "tau", the smallest training time.
        min_kept: least share of its known pixels that an image keeps which loses single ones, see `split_known`.
        seed: root of all draws.
        dtype: precision of the network's layers, float32 or bfloat16.
        checkpoint, progress: see `fit_network`.

    Returns:
        the network's weights; its arguments as metadata "network", and "diffusion".

    Raises:
        InputError: images, indicators or settings of another shape, dtype or range.
        DivergenceError: a loss or a weight is not finite.
    """
    check_incomplete_images(images, observed)
    check_number("min_kept", min_kept, least=0, below=1)
    check_number("tau", diffusion["tau"], above=0, below=1)
    sde = VPSDE(diffusion["beta_min"], diffusion["beta_max"])
    channels = images.shape[1]
    config = {"in_channels": 4 * channels, "out_channels": channels, **network}
    fitted = fit_network(
        PatchUNet, config,
        lambda unet: conditional_loss(
            at_precision(unet, dtype), sde, images, observed, tau=diffusion["tau"], min_kept=min_kept
        ),
        name="conditional", init=init_fan_avg, num_items=len(images), recipe=Recipe(**recipe), seed=seed,
        device=images.device, checkpoint=checkpoint, progress=progress,
    )  # fmt: skip
    return FittedMethod(fitted.weights, {"network": fitted.config, "diffusion": dict(diffusion)}, fitted.curve)
