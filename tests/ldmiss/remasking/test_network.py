"""The U-Net on patches, and what it sees."""

import pytest
import torch
from support.small_models import patch_unet
from torch import Tensor

from ldmiss.core.noise import torch_generator
from ldmiss.core.pixels import show_known
from ldmiss.diffusion.unet import UNet
from ldmiss.networks.layers import build, init_torch_default
from ldmiss.remasking.network import PatchUNet, show_scaled

T = torch.tensor(0.3)
UNET = {
    "base_channels": 4, "channel_multipliers": [1, 2], "num_res_blocks": 1, "attention_levels": [1],
    "mid_attention": False, "dropout": 0.0, "num_groups": 2, "resampling": "biggan",
}  # fmt: skip


def images(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch_generator("cpu", 0))


def test_patches_of_one_pixel_are_the_unet() -> None:
    """With the same weights."""
    patches = build(
        lambda: PatchUNet(in_channels=3, out_channels=2, patch_size=1, **UNET),
        "cpu", init_torch_default, torch_generator("cpu", 1),
    )  # fmt: skip
    unet = UNet(in_channels=3, out_channels=2, **UNET)  # type: ignore[arg-type]
    unet.load_state_dict({name.removeprefix("unet."): value for name, value in patches.state_dict().items()})
    x = images(2, 3, 9, 8)
    assert torch.equal(patches(x, T), unet(x, T))


@pytest.mark.parametrize("size", [(8, 11), (9, 9), (12, 8)])
def test_images_that_patches_do_not_divide_are_padded_with_the_unknown(size: tuple[int, int]) -> None:
    """The result is that of the larger image, cut."""
    network = patch_unet(2, 3)
    x = images(2, 2, *size)
    padded = torch.zeros(2, 2, *(side + side % 2 for side in size))
    padded[..., : size[0], : size[1]] = x
    assert network(x, T).shape == (2, 3, *size)
    assert torch.equal(network(x, T), network(padded, T)[..., : size[0], : size[1]])


def test_what_is_not_known_is_not_seen() -> None:
    """Values as they are where known, in the networks' range, zero elsewhere, and the indicators."""
    x = torch.tensor([0.0, 0.75, 1.0, float("nan")]).reshape(1, 1, 2, 2)
    known = torch.tensor([True, True, False, False]).reshape(1, 1, 2, 2)
    assert show_known(x, known).flatten().tolist() == [0.0, 0.75, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0]
    assert show_scaled(x, known).flatten().tolist() == [-1.0, 0.5, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0]
