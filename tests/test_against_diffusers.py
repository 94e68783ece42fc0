"""Our U-Net against `UNet2DModel` of Hugging Face's diffusers: parameter counts, and outputs with our weights in it.

Theirs is the same network but for four things, each stated where it matters below: its residual sums are not scaled
(an attribute of each block does it); its attention on the way up comes after every block (Song's, and ours, once per
level); its resampling blocks have no 1x1 convolution on the shortcut (Song's, and ours, have); and it doubles the size
on the way up, so that 7 x 7 does not run (ours goes to the size of the skip connection).
"""

import math
from typing import Any

import pytest
import torch
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.unets.unet_2d import UNet2DModel
from test_unet import LATENT, PIXEL, count, data, make
from torch import Tensor, nn

from ldmiss.networks.layers import SelfAttention
from ldmiss.networks.unet import ResBlock, UNet

CONV_DOWN, CONV_UP = "DownBlock2D", "UpBlock2D"
BIGGAN_DOWN, BIGGAN_UP = "ResnetDownsampleBlock2D", "ResnetUpsampleBlock2D"
ATTENTION_PARAMETERS = 4 * 64 * 64 + 6 * 64  # at 64 channels: q, k, v and the output with biases, and the norm's two


def diffusers_config(ours: dict[str, Any], down: list[str], up: list[str]) -> dict[str, Any]:
    """Their arguments for the network that our `UNet` makes of `ours`, with the given blocks, finest level first."""
    return {
        "sample_size": ours["size"], "in_channels": ours["in_channels"], "out_channels": ours["in_channels"],
        "down_block_types": tuple(down), "up_block_types": tuple(reversed(up)),
        "block_out_channels": tuple(ours["base_channels"] * m for m in ours["channel_multipliers"]),
        "layers_per_block": ours["num_res_blocks"], "add_attention": ours["mid_attention"],
        "norm_num_groups": ours["num_groups"], "norm_eps": 1e-6,
        "attention_head_dim": None,  # one head
        "flip_sin_to_cos": False, "freq_shift": 1,  # sines first; the last frequency exactly 1/10000
    }  # fmt: skip


def pixel(ours: dict[str, Any], down: str = CONV_DOWN, up: str = CONV_UP) -> dict[str, Any]:
    """Their pixel network: three levels without attention."""
    return diffusers_config(ours, [down] * 3, [up] * 3)


def latent(ours: dict[str, Any], up: str = CONV_UP, downsample_type: str = "conv") -> dict[str, Any]:
    """Their latent network: attention at the finer of two levels, which goes down; the coarser one goes up."""
    config = diffusers_config(ours, ["AttnDownBlock2D", CONV_DOWN], ["AttnUpBlock2D", up])
    return config | {"downsample_type": downsample_type}


def theirs_on_meta(config: dict[str, Any]) -> UNet2DModel:
    """Their network without memory, to count."""
    with torch.device("meta"):
        return UNet2DModel(**config)


@pytest.mark.parametrize(("mid", "expected"), [(False, 10_367_665), (True, 10_516_273)])
def test_number_of_parameters_of_the_pixel_network(mid: bool, expected: int) -> None:
    """The same number, to the last weight, with and without attention in the middle."""
    ours = PIXEL | {"resampling": "conv", "mid_attention": mid}
    theirs = sum(p.numel() for p in theirs_on_meta(pixel(ours)).parameters())
    assert count(ours) == theirs == expected


@pytest.mark.parametrize(("mid", "expected"), [(True, 3_743_490), (False, 3_677_186)])
def test_number_of_parameters_of_the_latent_network(mid: bool, expected: int) -> None:
    """Theirs has two more attentions: after each of the three blocks on the way up at 7 x 7, where we have one."""
    ours = LATENT | {"resampling": "conv", "mid_attention": mid}
    theirs = sum(p.numel() for p in theirs_on_meta(latent(ours)).parameters())
    assert theirs == expected
    assert count(ours) == theirs - 2 * ATTENTION_PARAMETERS


def test_number_of_parameters_with_resampling_blocks() -> None:
    """`biggan`: ours has a 1x1 convolution on the shortcut of the two blocks that go down and the two that go up."""
    theirs = sum(p.numel() for p in theirs_on_meta(pixel(PIXEL, BIGGAN_DOWN, BIGGAN_UP)).parameters())
    shortcuts = sum(c * c + c for c in (48, 96, 96, 192))
    assert count(PIXEL | {"resampling": "biggan"}) == theirs + shortcuts


def test_their_latent_network_does_not_run_at_7() -> None:
    """7 -> 4 -> 8 does not meet the skip connection of 7; ours goes back to 7."""
    ours = LATENT | {"resampling": "conv"}
    x = data(ours)
    with pytest.raises(RuntimeError, match="Expected size 8 but got size 7"):
        UNet2DModel(**latent(ours))(x, torch.tensor(500.0))
    assert make(ours)(x, torch.tensor(0.5)).shape == x.shape


def copy_attention(ours: SelfAttention, theirs: Attention) -> None:
    """Weights of one attention, and its factor on the sum: 1/sqrt(2) in the U-Net, 1 in the autoencoder."""
    theirs.group_norm.load_state_dict(ours.norm.state_dict())
    weights, biases = ours.qkv.weight.flatten(1).chunk(3), ours.qkv.bias.chunk(3)
    for linear, weight, bias in zip((theirs.to_q, theirs.to_k, theirs.to_v), weights, biases, strict=True):
        linear.load_state_dict({"weight": weight, "bias": bias})
    theirs.to_out[0].load_state_dict({"weight": ours.proj.weight.flatten(1), "bias": ours.proj.bias})
    theirs.rescale_output_factor = 1 / ours.skip_scale


def copy_block(ours: ResBlock, theirs: ResnetBlock2D) -> None:
    """Weights of one residual block, and the factor 1/sqrt(2)."""
    pairs = {"norm1": "norm1", "conv1": "conv1", "time": "time_emb_proj", "norm2": "norm2", "conv2": "conv2"}
    if theirs.conv_shortcut is not None:
        pairs["shortcut"] = "conv_shortcut"
    elif isinstance(ours.shortcut, nn.Conv2d):  # a resampling block: theirs passes x on as it is, so ours has to
        nn.init.dirac_(ours.shortcut.weight)
        nn.init.zeros_(ours.shortcut.bias)
    for mine, their in pairs.items():
        getattr(theirs, their).load_state_dict(getattr(ours, mine).state_dict())
    theirs.output_scale_factor = math.sqrt(2)


def copy_resample(ours: nn.Module, theirs: nn.Module) -> None:
    """Weights of what changes the size at the end of a level, of either kind."""
    if isinstance(ours, ResBlock):
        copy_block(ours, theirs)
    else:
        theirs.conv.load_state_dict(ours.conv.state_dict())


def with_weights_of(ours: UNet, config: dict[str, Any]) -> UNet2DModel:
    """Their network with our weights; a weight that is left out is NaN, and so is then the output."""
    theirs = UNet2DModel(**config).requires_grad_(False)
    for parameter in theirs.parameters():
        parameter.fill_(math.nan)
    theirs.conv_in.load_state_dict(ours.conv_in.state_dict())
    theirs.time_embedding.linear_1.load_state_dict(ours.time[0].state_dict())
    theirs.time_embedding.linear_2.load_state_dict(ours.time[2].state_dict())
    for mine, their in zip(ours.down, theirs.down_blocks, strict=True):
        for a, b in zip(mine.blocks, their.resnets, strict=True):
            copy_block(a, b)
        attentions = [layer for layer in mine.attentions if isinstance(layer, SelfAttention)]
        for a, b in zip(attentions, getattr(their, "attentions", []), strict=True):
            copy_attention(a, b)
        if mine.resample is not None:
            copy_resample(mine.resample, their.downsamplers[0])
    copy_block(ours.mid_in, theirs.mid_block.resnets[0])
    copy_block(ours.mid_out, theirs.mid_block.resnets[1])
    if isinstance(ours.mid_attention, SelfAttention):
        copy_attention(ours.mid_attention, theirs.mid_block.attentions[0])
    for mine, their in zip(ours.up, theirs.up_blocks, strict=True):
        for a, b in zip(mine.blocks, their.resnets, strict=True):
            copy_block(a, b)
        if isinstance(mine.attention, SelfAttention):  # once per level: after the last block
            copy_attention(mine.attention, their.attentions[-1])
            their.attentions = nn.ModuleList([nn.Identity() for _ in mine.blocks[1:]] + [their.attentions[-1]])
        if mine.resample is not None:
            copy_resample(mine.resample, their.upsamplers[0])
    theirs.conv_norm_out.load_state_dict(ours.norm_out.state_dict())
    theirs.conv_out.load_state_dict(ours.conv_out.state_dict())
    return theirs.eval()


def random_network(config: dict[str, Any]) -> UNet:
    """Ours, with no norm at one, no bias at zero, and attention that is far from an average over all pixels."""
    network, generator = make(config), torch.Generator().manual_seed(7)
    for name, parameter in network.named_parameters():
        if parameter.ndim == 1:
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.2)
        elif name.endswith("qkv.weight"):
            parameter.mul_(5)
    return network


def relative_difference(a: Tensor, b: Tensor) -> float:
    """Largest difference over the standard deviation of `b`."""
    return float((a - b).abs().max() / b.std())


LATENT_8 = LATENT | {"size": 8, "attention_resolutions": [8]}
CASES = {
    "pixel-conv": (PIXEL | {"resampling": "conv"}, pixel(PIXEL)),
    "pixel-biggan": (PIXEL | {"resampling": "biggan"}, pixel(PIXEL, BIGGAN_DOWN, BIGGAN_UP)),
    "latent-conv": (LATENT_8 | {"resampling": "conv"}, latent(LATENT_8)),
    "latent-biggan": (LATENT_8 | {"resampling": "biggan"}, latent(LATENT_8, BIGGAN_UP, "resnet")),
}


@pytest.mark.parametrize(("ours", "theirs"), CASES.values(), ids=CASES.keys())
def test_same_output_with_the_same_weights(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Equal to rounding, each row at its own time (theirs is given 999 t), at sizes that both can do."""
    network = random_network(ours)
    model = with_weights_of(network, theirs)
    x, t = data(ours), torch.tensor([0.001, 0.37, 1.0])
    expected = model(x, 999 * t).sample
    assert expected.shape == x.shape
    assert relative_difference(network(x, t), expected) < 1e-4  # float32: angles of up to 999 are rounded by 6e-5
    assert relative_difference(model(x, 999 * t.flip(0)).sample[:1], expected[:1]) > 1e-2  # the time matters
