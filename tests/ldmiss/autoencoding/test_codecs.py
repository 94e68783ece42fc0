"""Codecs between pixels and the space of diffusion."""

import pytest
import torch

from ldmiss.autoencoding.codecs import LatentCodec, PixelCodec, latent_scale


def test_pixel_codec_round_trip() -> None:
    """[0, 1] to [-1, 1] and back; not clipped beyond, so that gradients pass."""
    codec, x = PixelCodec((1, 4, 4), "symmetric"), torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    assert codec.encode(torch.tensor([0.0, 0.5, 1.0])).tolist() == [-1.0, 0.0, 1.0]
    torch.testing.assert_close(codec.decode(codec.encode(x)), x)
    z = torch.tensor([3.0, -3.0], requires_grad=True)
    codec.decode(z).sum().backward()
    assert z.grad is not None
    assert z.grad.tolist() == [0.5, 0.5]


def test_latent_codec_undoes_scale_and_range() -> None:
    """Diffusion sees scale * z; the decoder sees z, and its [-1, 1] comes out as [0, 1]."""
    codec = LatentCodec(
        (2, 1, 1), decoder=lambda z: z.sum(1, keepdim=True), scale=torch.full((1, 1, 1), 4.0), value_range="symmetric"
    )
    z = torch.tensor([0.5, -1.5]).reshape(1, 2, 1, 1)
    assert codec.decode(4.0 * z).flatten().tolist() == [0.0]  # (0.5 - 1.5 + 1) / 2


def test_latent_scale_gives_unit_variance() -> None:
    """1 / std, over all elements or those of each channel; no mean is removed."""
    spread = torch.tensor([2.5, 0.1]).reshape(2, 1, 1)
    latents = 3.0 + spread * torch.randn(100, 2, 7, 7, generator=torch.Generator().manual_seed(0))
    scale = latent_scale(latents, "global")
    assert float((scale * latents).std()) == pytest.approx(1.0, abs=1e-6)
    assert float(latent_scale(latents + 100, "global")) == pytest.approx(float(scale), rel=1e-5)  # rounding of 100 + x
    per_channel = latent_scale(latents, "per_channel")
    assert per_channel.shape == (2, 1, 1)
    torch.testing.assert_close((per_channel * latents).std(dim=(0, 2, 3)), torch.ones(2))
    assert latent_scale(latents, "none").tolist() == [[[1.0]]]
    with pytest.raises(ValueError, match="kind: unknown 'max'; allowed: global, per_channel, none"):
        latent_scale(latents, "max")
