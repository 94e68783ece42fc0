"""The two score networks of the paper's Table 1, and what their tests share."""

from typing import Any

import torch
from torch import Tensor

from ldmiss.diffusion.unet import UNet
from ldmiss.networks.layers import build, init_torch_default

PIXEL: dict[str, Any] = {  # Table 1 of the paper
    "in_channels": 1, "size": 28, "base_channels": 48, "channel_multipliers": [1, 2, 4], "num_res_blocks": 3,
    "attention_resolutions": [], "mid_attention": False, "resampling": "biggan", "dropout": 0.1, "num_groups": 16,
}  # fmt: skip
LATENT: dict[str, Any] = {
    "in_channels": 2, "size": 7, "base_channels": 64, "channel_multipliers": [1, 2], "num_res_blocks": 2,
    "attention_resolutions": [7], "mid_attention": True, "resampling": "biggan", "dropout": 0.1, "num_groups": 16,
}  # fmt: skip


def make(config: dict[str, Any], init: Any = init_torch_default, seed: int = 0) -> UNet:
    """A U-Net with every layer at random (or as it starts in training, with `init_fan_avg`)."""
    return build(lambda: UNet(**config), "cpu", init, torch.Generator().manual_seed(seed)).requires_grad_(False)


def data(config: dict[str, Any], batch: int = 3) -> Tensor:
    """Normal data of the configuration's shape."""
    shape = (batch, config["in_channels"], config["size"], config["size"])
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def count(config: dict[str, Any]) -> int:
    """Number of parameters, without memory for them."""
    with torch.device("meta"):
        return sum(p.numel() for p in UNet(**config).parameters())
