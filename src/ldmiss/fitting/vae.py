"""The KL-regularised autoencoder, trained on incomplete images (paper sections 3, 4.1 and A.1.2)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ldmiss.autoencoding.autoencoder import Autoencoder
from ldmiss.autoencoding.encoder_input import EncoderInput
from ldmiss.autoencoding.objective import autoencoder_loss
from ldmiss.checkpoints import NO_CHECKPOINT, Checkpoint
from ldmiss.checks import check_incomplete_images, check_number
from ldmiss.networks.layers import at_precision, init_torch_default
from ldmiss.training.fit import FittedNetwork, fit_network
from ldmiss.training.loop import BatchLoss, Recipe


def fit_vae(
    images: Tensor,
    observed: Tensor,
    *,
    network: Mapping[str, Any],
    encoder_input: EncoderInput,
    recipe: Recipe,
    seed: int,
    kl_weight: float = 1e-6,
    dtype: torch.dtype = torch.float32,
    checkpoint: Checkpoint = NO_CHECKPOINT,
    progress: bool = True,
) -> FittedNetwork:
    """Train the autoencoder of LDMiss.

    Args:
        images: float32 (N, C, H, W), scaled, on the device that trains; values at missing pixels are never used.
        observed: bool (N, C, H, W), True where a pixel is known; at least one is.
        network: arguments of `Autoencoder`, without the size and the numbers of channels of images.
        encoder_input: what the encoder sees of an incomplete image.
        recipe: how it is trained.
        seed: root of all draws.
        kl_weight: beta_KL of the objective.
        dtype: precision of the network's layers, float32 or bfloat16.
        checkpoint, progress: see `fit_network`.

    Raises:
        InputError: images, indicators or settings of another shape, dtype or range.
        DivergenceError: a loss or a weight is not finite.
    """
    check_incomplete_images(images, observed)
    check_number("kl_weight", kl_weight, least=0)
    _, channels, *size = images.shape
    in_channels = 2 * channels if encoder_input.robust else channels
    config = {"size": size, "in_channels": in_channels, "out_channels": channels, **network}

    def make_loss(autoencoder: Autoencoder) -> BatchLoss:
        encoder, decoder = (at_precision(part, dtype) for part in (autoencoder.encoder, autoencoder.decoder))
        return autoencoder_loss(
            encoder, decoder, images, observed, kl_weight=kl_weight, encoder_input=encoder_input
        )  # fmt: skip

    return fit_network(
        Autoencoder, config, make_loss, name="vae", init=init_torch_default, num_items=len(images), recipe=recipe,
        seed=seed, device=images.device, checkpoint=checkpoint, progress=progress,
    )  # fmt: skip
