"""The two score networks of the paper's Table 1, and what their tests share."""

from typing import Any

import torch
from torch import Tensor

from ldmiss.diffusion.unet import UNet
from ldmiss.networks.layers import build, init_torch_default

PIXEL: dict[str, Any] = {  # Table 1 of the paper
    "in_channels": 1, "base_channels": 48, "channel_multipliers": [1, 2, 4], "num_res_blocks": 3,
    "attention_levels": [], "mid_attention": False, "resampling": "biggan", "dropout": 0.1, "num_groups": 16,
}  # fmt: skip
LATENT: dict[str, Any] = {
    "in_channels": 2, "base_channels": 64, "channel_multipliers": [1, 2], "num_res_blocks": 2,
    "attention_levels": [0], "mid_attention": True, "resampling": "biggan", "dropout": 0.1, "num_groups": 16,
}  # fmt: skip


def make(config: dict[str, Any], init: Any = init_torch_default, seed: int = 0) -> UNet:
    """A U-Net with every layer at random (or as it starts in training, with `init_fan_avg`)."""
    return build(lambda: UNet(**config), "cpu", init, torch.Generator().manual_seed(seed)).requires_grad_(False)


SIZES = {1: (28, 28), 2: (7, 7)}
"""The paper's, by the number of channels: of pixels, and of latents."""


def data(config: dict[str, Any], batch: int = 3, size: tuple[int, int] | None = None) -> Tensor:
    """Normal data with the channels of the configuration, of the paper's size unless there is another."""
    channels = config["in_channels"]
    shape = (batch, channels, *(size or SIZES[channels]))
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def count(config: dict[str, Any]) -> int:
    """Number of parameters, without memory for them."""
    with torch.device("meta"):
        return sum(p.numel() for p in UNet(**config).parameters())
