"""Networks of Hugging Face's diffusers with our configuration and our weights: the same function of their input.

Theirs is the same U-Net as ours with `resampling: conv` but for two things: its residual sums are not scaled (an
attribute of each block does it), and its attention on the way up comes after every block (Song's, and ours, once per
level; the others are taken out). With `biggan`, ours has 1x1 convolutions on the shortcuts of resampling blocks.
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d import UNet2DModel
from torch import nn

from ldmiss.autoencoding.autoencoder import Autoencoder, Downsample, Upsample
from ldmiss.autoencoding.autoencoder import ResBlock as AutoencoderBlock
from ldmiss.diffusion.unet import ResBlock, UNet
from ldmiss.networks.layers import SelfAttention

CONV_DOWN, CONV_UP = "DownBlock2D", "UpBlock2D"


def unet_arguments(ours: dict[str, Any], down: list[str], up: list[str]) -> dict[str, Any]:
    """Their arguments for the network that our `UNet` makes of `ours`, with the given blocks, finest level first."""
    return {
        "sample_size": ours.get("size"), "in_channels": ours["in_channels"], "out_channels": ours["in_channels"],
        "down_block_types": tuple(down), "up_block_types": tuple(reversed(up)),
        "block_out_channels": tuple(ours["base_channels"] * m for m in ours["channel_multipliers"]),
        "layers_per_block": ours["num_res_blocks"], "add_attention": ours["mid_attention"],
        "dropout": ours["dropout"], "norm_num_groups": ours["num_groups"], "norm_eps": 1e-6,
        "attention_head_dim": None,  # one head
        "flip_sin_to_cos": False, "freq_shift": 1,  # sines first; the last frequency exactly 1/10000
    }  # fmt: skip


def pixel_arguments(ours: dict[str, Any], down: str = CONV_DOWN, up: str = CONV_UP) -> dict[str, Any]:
    """Their pixel network: no level has attention."""
    levels = len(ours["channel_multipliers"])
    return unet_arguments(ours, [down] * levels, [up] * levels)


def latent_arguments(ours: dict[str, Any], up: str = CONV_UP, downsample_type: str = "conv") -> dict[str, Any]:
    """Their latent network: attention at the finer of two levels, which goes down; the coarser one goes up."""
    arguments = unet_arguments(ours, ["AttnDownBlock2D", CONV_DOWN], ["AttnUpBlock2D", up])
    return arguments | {"downsample_type": downsample_type}


@torch.no_grad()
def unet_with_weights_of(ours: UNet, arguments: dict[str, Any]) -> UNet2DModel:
    """Their network with our weights, to be trained or not as ours; what is left out is NaN, and so is the output."""
    theirs = UNet2DModel(**arguments)
    for parameter in theirs.parameters():
        parameter.fill_(math.nan)
    theirs.conv_in.load_state_dict(ours.conv_in.state_dict())
    theirs.time_embedding.linear_1.load_state_dict(ours.time[0].state_dict())
    theirs.time_embedding.linear_2.load_state_dict(ours.time[2].state_dict())
    mine: Any
    for mine, their in zip(ours.down, theirs.down_blocks, strict=True):
        for a, b in zip(mine.blocks, their.resnets, strict=True):
            copy_block(a, b)
        attentions = [layer for layer in mine.attentions if isinstance(layer, SelfAttention)]
        for c, d in zip(attentions, getattr(their, "attentions", []), strict=True):
            copy_attention(c, d)
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
    first = next(ours.parameters())
    return theirs.to(first.device).requires_grad_(first.requires_grad).train(ours.training)


def copy_attention(ours: SelfAttention, theirs: Any) -> None:
    """Weights of one attention, and its factor on the sum: 1/sqrt(2) in the U-Net, 1 in the autoencoder."""
    theirs.group_norm.load_state_dict(ours.norm.state_dict())
    assert ours.qkv.bias is not None
    weights, biases = ours.qkv.weight.flatten(1).chunk(3), ours.qkv.bias.chunk(3)
    for linear, weight, bias in zip((theirs.to_q, theirs.to_k, theirs.to_v), weights, biases, strict=True):
        linear.load_state_dict({"weight": weight, "bias": bias})
    theirs.to_out[0].load_state_dict({"weight": ours.proj.weight.flatten(1), "bias": ours.proj.bias})
    theirs.rescale_output_factor = 1 / ours.skip_scale


def copy_block(ours: Any, theirs: Any) -> None:
    """Weights of one residual block, and the factor 1/sqrt(2)."""
    pairs = {"norm1": "norm1", "conv1": "conv1", "time": "time_emb_proj", "norm2": "norm2", "conv2": "conv2"}
    if theirs.conv_shortcut is not None:
        pairs["shortcut"] = "conv_shortcut"
    elif isinstance(ours.shortcut, nn.Conv2d):  # a resampling block: theirs passes x on as it is, so ours has to
        nn.init.dirac_(ours.shortcut.weight)
        ours.shortcut.bias.zero_()  # type: ignore[union-attr]
    for mine, their in pairs.items():
        getattr(theirs, their).load_state_dict(getattr(ours, mine).state_dict())
    theirs.output_scale_factor = math.sqrt(2)


def copy_resample(ours: Any, theirs: Any) -> None:
    """Weights of what changes the size at the end of a level, of either kind."""
    if isinstance(ours, ResBlock):
        copy_block(ours, theirs)
    else:
        theirs.conv.load_state_dict(ours.conv.state_dict())


@torch.no_grad()
def autoencoder_with_weights_of(ours: Autoencoder, config: dict[str, Any]) -> AutoencoderKL:
    """Theirs for the arguments `config` of our `Autoencoder`, with our weights; what is not copied is NaN."""
    widths = tuple(m * config["base_channels"] for m in config["channel_multipliers"])
    theirs = AutoencoderKL(
        in_channels=config["in_channels"], out_channels=config["out_channels"], block_out_channels=widths,
        down_block_types=("DownEncoderBlock2D",) * len(widths), up_block_types=("UpDecoderBlock2D",) * len(widths),
        layers_per_block=config["num_res_blocks"], latent_channels=config["latent_channels"],
        norm_num_groups=config["num_groups"], mid_block_add_attention=config["mid_attention"],
    )  # fmt: skip
    for weight in theirs.parameters():
        weight.fill_(math.nan)
    encoder, decoder = theirs.encoder, theirs.decoder
    down = [part for block in encoder.down_blocks for part in [*block.resnets, *(block.downsamplers or [])]]
    up = [part for block in decoder.up_blocks for part in [*block.resnets, *(block.upsamplers or [])]]
    ends = [encoder.mid_block, encoder.conv_norm_out, encoder.conv_out, theirs.quant_conv]
    _copy_all(ours.encoder, [encoder.conv_in, *down, *ends])
    starts = [theirs.post_quant_conv, decoder.conv_in, decoder.mid_block]
    _copy_all(ours.decoder, [*starts, *up, decoder.conv_norm_out, decoder.conv_out])
    first = next(ours.parameters())
    return theirs.to(first.device).requires_grad_(first.requires_grad).train(ours.training)


def _copy_all(source: Iterable[nn.Module], target: list[Any]) -> None:
    """Part by part, in the order in which they act; activations have no weights."""
    with_weights = [part for part in source if not isinstance(part, nn.SiLU)]
    for part, other in zip(with_weights, target, strict=True):
        if isinstance(part, AutoencoderBlock):
            _copy_autoencoder_block(part, other)
        elif isinstance(part, nn.Sequential):
            _copy_autoencoder_block(part[0], other.resnets[0])
            if isinstance(part[1], SelfAttention):
                copy_attention(part[1], other.attentions[0])
            _copy_autoencoder_block(part[2], other.resnets[1])
        elif isinstance(part, Downsample | Upsample):
            other.conv.load_state_dict(part.conv.state_dict())
        else:
            other.load_state_dict(part.state_dict())


def _copy_autoencoder_block(block: Any, other: Any) -> None:
    for name in ("norm1", "conv1", "norm2", "conv2"):
        getattr(other, name).load_state_dict(getattr(block, name).state_dict())
    if other.conv_shortcut is not None:
        other.conv_shortcut.load_state_dict(block.shortcut.state_dict())
