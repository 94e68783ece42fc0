"""Our U-Net against `UNet2DModel` of Hugging Face's diffusers: parameter counts, and outputs with our weights in it.

Theirs is the same network but for four things, each stated where it matters below: its residual sums are not scaled
(an attribute of each block does it); its attention on the way up comes after every block (Song's, and ours, once per
level); its resampling blocks have no 1x1 convolution on the shortcut (Song's, and ours, have); and it doubles the size
on the way up, so that 7 x 7 does not run (ours goes to the size of the skip connection).
"""

from typing import Any

import pytest
import torch
from diffusers.models.unets.unet_2d import UNet2DModel
from support.unets import LATENT, PIXEL, count, data, make
from torch import Tensor

from benchmarks.peers.diffusers_models import latent_arguments as latent
from benchmarks.peers.diffusers_models import pixel_arguments as pixel
from benchmarks.peers.diffusers_models import unet_with_weights_of
from ldmiss.diffusion.unet import UNet

BIGGAN_DOWN, BIGGAN_UP = "ResnetDownsampleBlock2D", "ResnetUpsampleBlock2D"
ATTENTION_PARAMETERS = 4 * 64 * 64 + 6 * 64  # at 64 channels: q, k, v and the output with biases, and the norm's two


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


CASES = {
    "pixel-conv": (PIXEL | {"resampling": "conv"}, pixel(PIXEL)),
    "pixel-biggan": (PIXEL | {"resampling": "biggan"}, pixel(PIXEL, BIGGAN_DOWN, BIGGAN_UP)),
    "latent-conv": (LATENT | {"resampling": "conv"}, latent(LATENT)),
    "latent-biggan": (LATENT | {"resampling": "biggan"}, latent(LATENT, BIGGAN_UP, "resnet")),
}


@pytest.mark.parametrize(("ours", "theirs"), CASES.values(), ids=CASES.keys())
def test_same_output_with_the_same_weights(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Equal to rounding, each row at its own time (theirs is given 999 t), at sizes that both can do."""
    network = random_network(ours)
    model = unet_with_weights_of(network, theirs).eval()
    x, t = data(ours, size=(8, 8) if ours["in_channels"] == 2 else (28, 28)), torch.tensor([0.001, 0.37, 1.0])
    expected = model(x, 999 * t).sample
    assert expected.shape == x.shape
    assert relative_difference(network(x, t), expected) < 1e-4  # float32: angles of up to 999 are rounded by 6e-5
    assert relative_difference(model(x, 999 * t.flip(0)).sample[:1], expected[:1]) > 1e-2  # the time matters
