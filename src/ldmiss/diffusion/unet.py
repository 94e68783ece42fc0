"""The DDPM++ score network (paper A.1.1 and Table 1; Song et al. 2021, appendix C, `ncsnpp` in its VP configuration).

Written as what DDPM++ is, not as the flags that select it: residual blocks that resample inside ("biggan"; or plain
convolutions, "conv"), skip connections rescaled by 1/sqrt(2), attention after each block at the listed resolutions on
the way down and once per level on the way up. Odd sizes work: 7 -> 4 going down, and back up to the size of the skip
connection, 7.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ldmiss.errors import InputError
from ldmiss.networks.layers import GroupNorm, SelfAttention, channels_last_on_cpu, drop, sinusoidal_embedding, zero_init

TIME_SCALE = 999.0
"""t in [0, 1] times this goes into the sinusoidal embedding (Song et al. 2021); unscaled it is nearly constant."""

SKIP_SCALE = 1 / math.sqrt(2)

RESAMPLING = ("biggan", "conv")
"""How a level's size changes: inside a residual block (DDPM++), or by a convolution of its own (Ho et al. 2020)."""


class ResBlock(nn.Module):
    """GN-SiLU-(resample)-Conv-(+time)-GN-SiLU-Dropout-Conv plus shortcut, times 1/sqrt(2).

    Args:
        in_channels, out_channels: of the (B, C, H, W) input and output.
        time_channels: width of the time embedding.
        dropout: probability of dropping.
        num_groups: groups of the normalisations.
        resample: "none", "down" (2x2 average, odd sizes rounded up) or "up" (nearest, to a given size).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        time_channels: int,
        dropout: float,
        num_groups: int,
        resample: str = "none",
    ) -> None:
        super().__init__()
        self.norm1 = GroupNorm(num_groups, in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.time = nn.Linear(time_channels, out_channels)
        self.norm2 = GroupNorm(num_groups, out_channels)
        self.conv2 = zero_init(nn.Conv2d(out_channels, out_channels, 3, padding=1))
        self.dropout = dropout
        self.resample = resample
        needs_shortcut = in_channels != out_channels or resample != "none"
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1) if needs_shortcut else nn.Identity()

    def _resample(self, x: Tensor, size: tuple[int, int] | None) -> Tensor:
        if self.resample == "down":
            return F.avg_pool2d(x, 2, ceil_mode=True)
        return F.interpolate(x, size=size, mode="nearest") if self.resample == "up" else x

    def forward(
        self, x: Tensor, temb: Tensor, generator: torch.Generator | None, size: tuple[int, int] | None = None
    ) -> Tensor:
        """x (B, C, H, W), temb (B or 1, time_channels), `size` the output's for "up" -> (B, C', H', W')."""
        h = self.conv1(self._resample(F.silu(self.norm1(x)), size))
        h = h + self.time(F.silu(temb))[:, :, None, None]
        h = self.conv2(drop(F.silu(self.norm2(h)), self.dropout, generator))
        return (self.shortcut(self._resample(x, size)) + h) * SKIP_SCALE


class ConvResample(nn.Module):
    """A 3x3 convolution that halves the size, or that follows nearest-neighbour upsampling (Ho et al. 2020).

    Called as a `ResBlock` is, so that either can end a level; it sees neither time nor dropout.

    Args:
        channels: of the (B, C, H, W) input and output.
        resample: "down" (stride 2, padding 1 on all sides: 28 -> 14, 7 -> 4) or "up" (to a given size).
    """

    def __init__(self, channels: int, *, resample: str) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2 if resample == "down" else 1, padding=1)
        self.resample = resample

    def forward(
        self, x: Tensor, temb: Tensor, generator: torch.Generator | None, size: tuple[int, int] | None = None
    ) -> Tensor:
        """x (B, C, H, W), `size` the output's for "up" -> (B, C, H', W')."""
        return self.conv(F.interpolate(x, size=size, mode="nearest") if self.resample == "up" else x)


class DownLevel(nn.Module):
    """One resolution on the way down: blocks with their attention (or none), then half the size (or not)."""

    def __init__(
        self, blocks: nn.ModuleList, attentions: nn.ModuleList, resample: ResBlock | ConvResample | None
    ) -> None:
        super().__init__()
        self.blocks, self.attentions, self.resample = blocks, attentions, resample

    def forward(self, h: Tensor, temb: Tensor, generator: torch.Generator | None, skips: list[Tensor]) -> Tensor:
        """Each output is appended to `skips`; the last one is returned, (B, C, H, W)."""
        for block, attention in zip(self.blocks, self.attentions, strict=True):
            h = attention(block(h, temb, generator))
            skips.append(h)
        if self.resample is not None:
            h = self.resample(h, temb, generator)
            skips.append(h)
        return h


class UpLevel(nn.Module):
    """One resolution on the way up: blocks on the concatenated skips, attention (or none), then the next size."""

    def __init__(self, blocks: nn.ModuleList, attention: nn.Module, resample: ResBlock | ConvResample | None) -> None:
        super().__init__()
        self.blocks, self.attention, self.resample = blocks, attention, resample

    def forward(self, h: Tensor, temb: Tensor, generator: torch.Generator | None, skips: list[Tensor]) -> Tensor:
        """Takes its skips off the end of `skips`; (B, C, H, W), at the size of the next skip after "up"."""
        for block in self.blocks:
            h = block(torch.cat([h, skips.pop()], dim=1), temb, generator)
        h = self.attention(h)
        if self.resample is not None:
            height, width = skips[-1].shape[-2:]
            h = self.resample(h, temb, generator, size=(height, width))
        return h


class UNet(nn.Module):
    """eps_theta(x_t, t): the noise predicted in x_t, of any height and width (halved between levels, rounded up).

    Args:
        in_channels: channels of the data.
        out_channels: channels of what is predicted; None for those of the data.
        base_channels, channel_multipliers: width of each level (Table 1: 48 x (1, 2, 4) and 64 x (1, 2)).
        num_res_blocks: residual blocks per level on the way down; one more on the way up.
        attention_levels: levels with attention, from 0 at the data's own size. Table 1 gives sizes: its "7" is level 0
            of latents of 7 x 7.
        mid_attention: attention between the two middle blocks.
        resampling: "biggan" (average or nearest, inside a residual block: DDPM++) or "conv" (a 3x3 convolution of
            stride 2, or nearest and a 3x3 convolution: Ho et al. 2020); both go 7 -> 4 -> 7.
        dropout: of each residual block; active only where a generator is passed to `forward`.
        num_groups: groups of the normalisations (Table 1: 16).

    Raises:
        InputError: an unknown `resampling`, or attention at a level that there is not.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        base_channels: int,
        channel_multipliers: list[int],
        num_res_blocks: int,
        attention_levels: list[int],
        mid_attention: bool,
        resampling: str,
        dropout: float,
        num_groups: int,
        out_channels: int | None = None,
    ) -> None:
        super().__init__()
        if resampling not in RESAMPLING:
            raise InputError(f"resampling: unknown {resampling!r}; allowed: {', '.join(RESAMPLING)}")
        num_levels = len(channel_multipliers)
        if absent := [level for level in attention_levels if not 0 <= level < num_levels]:
            raise InputError(f"attention_levels: {absent} are no levels; allowed: 0 to {num_levels - 1}")
        self.base_channels = base_channels
        # With more groups torch's normalisation is slow in this order, and the network 0.75 times as fast.
        self._channels_last = num_groups == 1
        time_channels = 4 * base_channels

        def block(c_in: int, c_out: int, resample: str = "none") -> ResBlock:
            return ResBlock(
                c_in, c_out, time_channels=time_channels, dropout=dropout, num_groups=num_groups, resample=resample
            )

        def resampler(channels: int, resample: str) -> ResBlock | ConvResample:
            if resampling == "conv":
                return ConvResample(channels, resample=resample)
            return block(channels, channels, resample)

        def attention(channels: int) -> SelfAttention:
            return SelfAttention(channels, num_groups, skip_scale=SKIP_SCALE)

        self.time = nn.Sequential(
            nn.Linear(base_channels, time_channels), nn.SiLU(), nn.Linear(time_channels, time_channels)
        )
        self.conv_in = nn.Conv2d(in_channels, base_channels, 3, padding=1)
        self.down = nn.ModuleList()
        channels = base_channels
        skip_channels = [channels]
        last_level = len(channel_multipliers) - 1
        for level, multiplier in enumerate(channel_multipliers):
            blocks, attentions = nn.ModuleList(), nn.ModuleList()
            for _ in range(num_res_blocks):
                blocks.append(block(channels, multiplier * base_channels))
                channels = multiplier * base_channels
                attentions.append(attention(channels) if level in attention_levels else nn.Identity())
                skip_channels.append(channels)
            resample = None
            if level < last_level:
                resample = resampler(channels, "down")
                skip_channels.append(channels)
            self.down.append(DownLevel(blocks, attentions, resample))

        self.mid_in = block(channels, channels)
        self.mid_attention = attention(channels) if mid_attention else nn.Identity()
        self.mid_out = block(channels, channels)

        self.up = nn.ModuleList()
        for level in range(last_level, -1, -1):
            blocks = nn.ModuleList()
            for _ in range(num_res_blocks + 1):
                blocks.append(block(channels + skip_channels.pop(), channel_multipliers[level] * base_channels))
                channels = channel_multipliers[level] * base_channels
            attends = level in attention_levels
            resample = resampler(channels, "up") if level > 0 else None
            self.up.append(UpLevel(blocks, attention(channels) if attends else nn.Identity(), resample))

        self.norm_out = GroupNorm(num_groups, channels)
        self.conv_out = zero_init(nn.Conv2d(channels, out_channels or in_channels, 3, padding=1))

    def forward(self, x: Tensor, t: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """x (B, C, H, W), t (B,) or () in [0, 1] -> eps (B, C, H, W). A generator switches dropout on.

        A time shared by all rows (shape ()) is embedded once.
        """
        temb = self.time(sinusoidal_embedding(TIME_SCALE * t.reshape(-1), self.base_channels))
        h = self.conv_in(x)
        if self._channels_last:
            h = channels_last_on_cpu(h)
        skips = [h]
        for level in self.down:
            h = level(h, temb, generator, skips)
        h = self.mid_out(self.mid_attention(self.mid_in(h, temb, generator)), temb, generator)
        for level in self.up:
            h = level(h, temb, generator, skips)
        return self.conv_out(F.silu(self.norm_out(h)))
