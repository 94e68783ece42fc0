"""Incomplete images to latents, once and for all (paper A.2.2)."""

from collections.abc import Callable

import torch
from torch import Tensor

from ldmiss.autoencoding.encoder_input import EncoderInput
from ldmiss.autoencoding.posterior import DiagonalGaussian
from ldmiss.checks import check_choice, check_images_to_complete
from ldmiss.core.noise import RowNoise

LATENT_SOURCES = ("mean", "sample")
_BATCH_SIZE = 100
"""Images at a time; more is slower on a CPU."""


@torch.no_grad()
def encode_images(
    encoder: Callable[[Tensor], Tensor],
    images: Tensor,
    observed: Tensor,
    *,
    encoder_input: EncoderInput,
    source: str = "mean",
    seed: int = 0,
) -> Tensor:
    """Latents of incomplete images, float32 (N, C, h, w), on the CPU and not scaled.

    Args:
        encoder: what `encoder_input` gives to mean and log-variance, stacked along channels.
        images: float32 (N, C, H, W), scaled, on the encoder's device; values at missing pixels are never used.
        observed: bool (N, C, H, W).
        encoder_input: the one the encoder was trained with.
        source: "mean" of the posterior, or one "sample" of it.
        seed: of the samples; image i has the noise of row i.

    Raises:
        InputError: unknown source; images or indicators of another shape or dtype.
    """
    check_choice("source", source, LATENT_SOURCES)
    check_images_to_complete(images, observed, "images")

    def encode(rows: Tensor) -> Tensor:
        x = encoder_input(images[rows], observed[rows])
        posterior = DiagonalGaussian(*encoder(x).chunk(2, dim=1))
        if source == "mean":
            return posterior.mean.cpu()
        return posterior.sample(RowNoise(seed, rows)(posterior.mean)).cpu()

    rows = torch.arange(len(images), device=images.device)
    return torch.cat([encode(batch) for batch in torch.split(rows, _BATCH_SIZE)])
