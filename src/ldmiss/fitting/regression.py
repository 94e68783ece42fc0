"""The re-masked regression U-Net, trained on incomplete images."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ldmiss.checkpoints import NO_CHECKPOINT, Checkpoint
from ldmiss.checks import check_incomplete_images, check_number
from ldmiss.fitting.method import FittedMethod
from ldmiss.networks.layers import at_precision, init_fan_avg
from ldmiss.regression.objective import regression_loss
from ldmiss.remasking.network import PatchUNet
from ldmiss.training.fit import fit_network
from ldmiss.training.loop import Recipe


def fit(
    images: Tensor,
    observed: Tensor,
    *,
    network: Mapping[str, Any],
    recipe: Mapping[str, Any],
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
        min_kept: least share of its known pixels that an image keeps which loses single ones, see `split_known`.
        seed: root of all draws.
        dtype: precision of the network's layers, float32 or bfloat16.
        checkpoint, progress: see `fit_network`.

    Returns:
        the network's weights; its arguments as metadata "network".

    Raises:
        InputError: images, indicators or settings of another shape, dtype or range.
        DivergenceError: a loss or a weight is not finite.
    """
    check_incomplete_images(images, observed)
    check_number("min_kept", min_kept, least=0, below=1)
    channels = images.shape[1]
    config = {"in_channels": 2 * channels, "out_channels": 2 * channels, **network}
    fitted = fit_network(
        PatchUNet, config,
        lambda unet: regression_loss(at_precision(unet, dtype), images, observed, min_kept=min_kept),
        name="regression", init=init_fan_avg, num_items=len(images), recipe=Recipe(**recipe), seed=seed,
        device=images.device, checkpoint=checkpoint, progress=progress,
    )  # fmt: skip
    return FittedMethod(fitted.weights, {"network": fitted.config}, fitted.curve)
