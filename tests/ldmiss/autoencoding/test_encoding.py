"""Incomplete images to latents."""

import pytest
import torch
from torch import Tensor

from ldmiss.autoencoding.encoder_input import EncoderInput
from ldmiss.autoencoding.encoding import encode_images
from ldmiss.core.noise import RowNoise

IMAGES = torch.rand(230, 1, 2, 2, generator=torch.Generator().manual_seed(0))
OBSERVED = torch.rand(IMAGES.shape, generator=torch.Generator().manual_seed(1)) < 0.5
INPUT = EncoderInput(torch.zeros(1, 1, 1), "symmetric", robust=False)


def encoder(x: Tensor) -> Tensor:
    """Mean: pixels mixed; log-variance: 2 ln 0.1."""
    return torch.cat([x.roll(1, dims=-1), torch.full_like(x, 2 * torch.tensor(0.1).log().item())], dim=1)


def encode(images: Tensor, rows: slice = slice(None), source: str = "mean") -> Tensor:
    return encode_images(encoder, images[rows], OBSERVED[rows], encoder_input=INPUT, source=source, seed=3)


def test_latents_are_the_posteriors_mean_or_a_sample_of_it() -> None:
    """All images in their order, with the noise of their rows; values at missing pixels never enter."""
    mean, sample = encode(IMAGES), encode(IMAGES, source="sample")
    x = torch.where(OBSERVED, 2 * IMAGES - 1, -1.0)
    torch.testing.assert_close(mean, x.roll(1, dims=-1))
    torch.testing.assert_close(sample, mean + 0.1 * RowNoise(3, torch.arange(230))(mean))
    for source, latents in (("mean", mean), ("sample", sample)):
        assert torch.equal(encode(IMAGES, slice(0, 70), source=source), latents[:70])
        assert torch.equal(encode(torch.where(OBSERVED, IMAGES, 77), source=source), latents)
    with pytest.raises(ValueError, match="source: unknown 'mode'; allowed: mean, sample"):
        encode(IMAGES, source="mode")
