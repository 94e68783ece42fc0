"""Our autoencoder against `AutoencoderKL` of Hugging Face's diffusers: counts, and outputs with our weights in it."""

import math
from collections.abc import Iterable

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.resnet import ResnetBlock2D
from test_against_diffusers import copy_attention
from torch import Tensor, nn

from ldmiss.networks.autoencoder import Autoencoder, Downsample, ResBlock, Upsample
from ldmiss.networks.layers import build, init_torch_default


@pytest.fixture(scope="module")
def ours() -> Autoencoder:
    """The paper profile's autoencoder, with weights that leave no part idle."""
    network = build(
        lambda: Autoencoder(
            in_channels=1, out_channels=1, latent_channels=2, base_channels=32, channel_multipliers=[1, 2, 4],
            num_res_blocks=2, num_groups=16, mid_attention=True,
        ),
        "cpu", init_torch_default, torch.Generator().manual_seed(0),
    ).requires_grad_(False)  # fmt: skip
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
    network = AutoencoderKL(
        in_channels=1, out_channels=1, down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3, block_out_channels=(32, 64, 128), layers_per_block=2,
        latent_channels=2, norm_num_groups=16,
    ).requires_grad_(False).eval()  # fmt: skip
    for weight in network.parameters():
        weight.fill_(math.nan)
    encoder, decoder = network.encoder, network.decoder
    down = [part for block in encoder.down_blocks for part in [*block.resnets, *(block.downsamplers or [])]]
    up = [part for block in decoder.up_blocks for part in [*block.resnets, *(block.upsamplers or [])]]
    ends = [encoder.mid_block, encoder.conv_norm_out, encoder.conv_out, network.quant_conv]
    copy_all(ours.encoder, [encoder.conv_in, *down, *ends])
    starts = [network.post_quant_conv, decoder.conv_in, decoder.mid_block]
    copy_all(ours.decoder, [*starts, *up, decoder.conv_norm_out, decoder.conv_out])
    return network


def copy_all(source: Iterable[nn.Module], target: list[nn.Module]) -> None:
    """Part by part, in the order in which they act; activations have no weights."""
    with_weights = [part for part in source if not isinstance(part, nn.SiLU)]
    for part, other in zip(with_weights, target, strict=True):
        if isinstance(part, ResBlock):
            copy_block(part, other)
        elif isinstance(part, nn.Sequential):
            copy_block(part[0], other.resnets[0])
            copy_attention(part[1], other.attentions[0])
            copy_block(part[2], other.resnets[1])
        elif isinstance(part, Downsample | Upsample):
            other.conv.load_state_dict(part.conv.state_dict())
        else:
            other.load_state_dict(part.state_dict())


def copy_block(block: ResBlock, other: ResnetBlock2D) -> None:
    """A residual block."""
    for name in ("norm1", "conv1", "norm2", "conv2"):
        getattr(other, name).load_state_dict(getattr(block, name).state_dict())
    if other.conv_shortcut is not None:
        other.conv_shortcut.load_state_dict(block.shortcut.state_dict())


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
