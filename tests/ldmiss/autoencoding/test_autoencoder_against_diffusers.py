"""Our autoencoder against `AutoencoderKL` of Hugging Face's diffusers: counts, and outputs with our weights in it."""

from typing import Any

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from torch import Tensor

from benchmarks.peers.diffusers_models import autoencoder_with_weights_of
from ldmiss.autoencoding.autoencoder import Autoencoder
from ldmiss.networks.layers import build, init_torch_default

CONFIG: dict[str, Any] = {
    "size": (28, 28),
    "in_channels": 1, "out_channels": 1, "latent_channels": 2, "base_channels": 32, "channel_multipliers": [1, 2, 4],
    "num_res_blocks": 2, "num_groups": 16, "mid_attention": True,
}  # fmt: skip


@pytest.fixture(scope="module")
def ours() -> Autoencoder:
    """The paper profile's autoencoder, with weights that leave no part idle."""
    network = build(
        lambda: Autoencoder(**CONFIG), "cpu", init_torch_default, torch.Generator().manual_seed(0)
    ).requires_grad_(False)
    generator = torch.Generator().manual_seed(7)
    for name, weight in network.named_parameters():
        if weight.ndim == 1:
            weight.add_(torch.randn(weight.shape, generator=generator), alpha=0.2)
        elif name.endswith(("qkv.weight", "proj.weight")):
            weight.mul_(5)
    return network


@pytest.fixture(scope="module")
def theirs(ours: Autoencoder) -> AutoencoderKL:
    """Theirs, holding our weights; what is not copied is NaN."""
    return autoencoder_with_weights_of(ours, CONFIG).eval()


def test_number_of_parameters(ours: Autoencoder, theirs: AutoencoderKL) -> None:
    """The same, to the last weight."""
    counts = [sum(weight.numel() for weight in network.parameters()) for network in (ours, theirs)]
    assert counts == [3_470_783, 3_470_783]


def test_same_weights_same_output(ours: Autoencoder, theirs: AutoencoderKL) -> None:
    """Encoder and decoder, up to rounding."""
    generator = torch.Generator().manual_seed(1)
    x = 2 * torch.rand(3, 1, 28, 28, generator=generator) - 1
    z = torch.randn(3, 2, 7, 7, generator=generator)
    for mine, other in (
        (ours.encoder(x), theirs.quant_conv(theirs.encoder(x))),
        (ours.decoder(z), theirs.decode(z).sample),
    ):
        assert mine.shape == other.shape
        assert relative_difference(mine, other) < 1e-4


def relative_difference(mine: Tensor, other: Tensor) -> float:
    """The largest difference, in standard deviations of the output."""
    return float((mine - other).abs().max() / other.std())
