"""The KL-regularised autoencoder (paper A.1.2; Rombach et al. 2022, `ldm/modules/diffusionmodules/model.py`).

1 x 28 x 28 -> 2 x 7 x 7 with channel multipliers (1, 2, 4). Residual blocks have no time input and plain sums. Images
that cannot be halved so often are padded at the right and the bottom on the way in, and cropped on the way out.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from ldmiss.networks.layers import GroupNorm, SelfAttention


class ResBlock(nn.Module):
    """x + Conv(SiLU(GN(Conv(SiLU(GN(x)))))), with a 1x1 convolution on x where the width changes."""

    def __init__(self, in_channels: int, out_channels: int, num_groups: int) -> None:
        super().__init__()
        self.norm1 = GroupNorm(num_groups, in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm2 = GroupNorm(num_groups, out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H, W)."""
        h = self.conv1(F.silu(self.norm1(x)))
        return self.shortcut(x) + self.conv2(F.silu(self.norm2(h)))


class Downsample(nn.Module):
    """Halve an even size: zero-pad right and bottom by one, then a 3x3 convolution of stride 2 (28 -> 14 -> 7)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H/2, W/2)."""
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Nearest-neighbour doubling, then a 3x3 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, 2H, 2W)."""
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))


def _middle(channels: int, num_groups: int, attention: bool) -> nn.Sequential:
    return nn.Sequential(
        ResBlock(channels, channels, num_groups),
        SelfAttention(channels, num_groups) if attention else nn.Identity(),
        ResBlock(channels, channels, num_groups),
    )


class _Encoder(nn.Sequential):
    """Layers that halve the size several times, on images zero-padded to a multiple of what that takes."""

    def __init__(self, *layers: nn.Module, factor: int) -> None:
        super().__init__(*layers)
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', ceil(H / factor), ceil(W / factor))."""
        bottom, right = (-size % self.factor for size in x.shape[-2:])
        padded = F.pad(x, (0, right, 0, bottom)) if bottom or right else x
        encoded: Tensor = super().forward(padded)  # type: ignore[no-untyped-call]
        return encoded


class _Decoder(nn.Sequential):
    """Layers that double the size several times, cropped to the size of the images."""

    def __init__(self, *layers: nn.Module, size: Sequence[int]) -> None:
        super().__init__(*layers)
        self.size = tuple(size)

    def forward(self, z: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C', *size)."""
        height, width = self.size
        x: Tensor = super().forward(z)  # type: ignore[no-untyped-call]
        return x[..., :height, :width]


class Autoencoder(nn.Module):
    """Encoder and decoder. Two networks that are called by themselves; there is no `forward`.

    encoder: images (B, in_channels, H, W) to mean and log-variance, stacked: (B, 2 * latent_channels, h, w), where h
        and w are a quarter of H and W with three levels, rounded up.
    decoder: latents (B, latent_channels, h, w) to images (B, out_channels, H, W), no output activation.

    Args:
        size: (H, W) of the images.
        in_channels: channels the encoder sees (twice the image's, with channels of observed-indicators).
        out_channels: channels of the decoded image.
        latent_channels: channels of the latent (2 in the paper).
        base_channels, channel_multipliers: width of each level; the size halves between levels.
        num_res_blocks: residual blocks per level in the encoder; one more in the decoder.
        num_groups: groups of the normalisations.
        mid_attention: attention between the two middle blocks.
    """

    def __init__(
        self,
        *,
        size: Sequence[int],
        in_channels: int,
        out_channels: int,
        latent_channels: int,
        base_channels: int,
        channel_multipliers: list[int],
        num_res_blocks: int,
        num_groups: int,
        mid_attention: bool,
    ) -> None:
        super().__init__()
        widths = [multiplier * base_channels for multiplier in channel_multipliers]
        encoder: list[nn.Module] = [nn.Conv2d(in_channels, base_channels, 3, padding=1)]
        channels = base_channels
        for level, width in enumerate(widths):
            for _ in range(num_res_blocks):
                encoder.append(ResBlock(channels, width, num_groups))
                channels = width
            if level < len(widths) - 1:
                encoder.append(Downsample(channels))
        encoder += [
            _middle(channels, num_groups, mid_attention), GroupNorm(num_groups, channels), nn.SiLU(),
            nn.Conv2d(channels, 2 * latent_channels, 3, padding=1),
            nn.Conv2d(2 * latent_channels, 2 * latent_channels, 1),
        ]  # fmt: skip
        self.encoder = _Encoder(*encoder, factor=2 ** (len(widths) - 1))

        decoder: list[nn.Module] = [
            nn.Conv2d(latent_channels, latent_channels, 1), nn.Conv2d(latent_channels, channels, 3, padding=1),
            _middle(channels, num_groups, mid_attention),
        ]  # fmt: skip
        for level, width in reversed(list(enumerate(widths))):
            for _ in range(num_res_blocks + 1):
                decoder.append(ResBlock(channels, width, num_groups))
                channels = width
            if level > 0:
                decoder.append(Upsample(channels))
        decoder += [GroupNorm(num_groups, channels), nn.SiLU(), nn.Conv2d(channels, out_channels, 3, padding=1)]
        self.decoder = _Decoder(*decoder, size=size)
