"""The network that the re-masking methods share: a U-Net on patches."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ldmiss.core.pixels import network_from_scaled, show_known
from ldmiss.diffusion.unet import UNet

VALUE_RANGE = "symmetric"
"""Of the pixels that the networks of these methods see, one of `ldmiss.core.pixels.RANGES`."""


class PatchUNet(nn.Module):
    """A U-Net on squares of `patch_size` pixels, whose values are its channels: of 2, a quarter of the cost.

    (The layout of sub-pixel convolution, Shi et al. 2016.) Images whose sides it does not divide are padded with zeros
    below and to the right, as if there nothing was known.

    Args:
        in_channels, out_channels: of the images.
        patch_size: side of a patch.
        unet: the other arguments of `UNet`.
    """

    def __init__(self, *, in_channels: int, out_channels: int, patch_size: int, **unet: object) -> None:
        super().__init__()
        self.patch_size = patch_size
        area = patch_size**2
        self.unet = UNet(in_channels=area * in_channels, out_channels=area * out_channels, **unet)  # type: ignore[arg-type]

    def forward(self, x: Tensor, t: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """x (B, in_channels, H, W), t (B,) or () in [0, 1] -> (B, out_channels, H, W)."""
        height, width = x.shape[-2:]
        x = F.pad(x, (0, -width % self.patch_size, 0, -height % self.patch_size))
        y = F.pixel_shuffle(self.unet(F.pixel_unshuffle(x, self.patch_size), t, generator), self.patch_size)
        return y[..., :height, :width]


def show_scaled(x: Tensor, known: Tensor) -> Tensor:
    """`show_known` of scaled pixels."""
    return show_known(network_from_scaled(x, VALUE_RANGE), known)
