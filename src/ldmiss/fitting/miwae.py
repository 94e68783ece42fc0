"""MIWAE, trained on incomplete images (Mattei & Frellsen 2019)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ldmiss.autoencoding.autoencoder import Autoencoder
from ldmiss.checkpoints import NO_CHECKPOINT, Checkpoint
from ldmiss.checks import check_count, check_incomplete_images
from ldmiss.fitting.method import FittedMethod
from ldmiss.miwae.objective import importance_weighted_loss
from ldmiss.networks.layers import at_precision, init_torch_default
from ldmiss.training.fit import fit_network
from ldmiss.training.loop import BatchLoss, Recipe


def fit(
    images: Tensor,
    observed: Tensor,
    *,
    network: Mapping[str, Any],
    recipe: Mapping[str, Any],
    num_samples: int,
    seed: int,
    dtype: torch.dtype = torch.float32,
    checkpoint: Checkpoint = NO_CHECKPOINT,
    progress: bool = True,
) -> FittedMethod:
    """Train encoder and decoder.

    Args:
        images: float32 (N, C, H, W), scaled, on the device that trains; values at missing pixels are never used.
        observed: bool (N, C, H, W), True where a pixel is known; at least one is.
        network: arguments of `Autoencoder`, without the size and the numbers of channels of images.
        recipe: arguments of `Recipe`.
        num_samples: importance samples of each image, K.
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
    check_count("num_samples", num_samples)
    _, channels, *size = images.shape
    config = {"size": size, "in_channels": 2 * channels, "out_channels": 2 * channels, **network}

    def make_loss(autoencoder: Autoencoder) -> BatchLoss:
        encoder, decoder = (at_precision(part, dtype) for part in (autoencoder.encoder, autoencoder.decoder))
        return importance_weighted_loss(encoder, decoder, images, observed, num_samples=num_samples)

    fitted = fit_network(
        Autoencoder, config, make_loss, name="miwae", init=init_torch_default, num_items=len(images),
        recipe=Recipe(**recipe), seed=seed, device=images.device, checkpoint=checkpoint, progress=progress,
    )  # fmt: skip
    return FittedMethod(fitted.weights, {"network": fitted.config}, fitted.curve)
