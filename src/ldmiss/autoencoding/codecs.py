"""Codecs: what stands between pixels and the space in which diffusion runs.

Training a score network, sampling from it and self-guided imputation are the same code in pixel and in latent space;
only the codec differs. (After edm2's `training/encoders.py`.)
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ldmiss.core.pixels import network_from_unit, unit_from_network


class Codec(Protocol):
    """A map between images in [0, 1] and the space of diffusion."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the space in which diffusion runs."""
        ...

    def decode(self, z: Tensor) -> Tensor:
        """(B, *shape) to images (B, 1, 28, 28) in [0, 1] units, differentiable and not clipped."""
        ...


@dataclass(frozen=True)
class PixelCodec:
    """Diffusion in pixel space: only a change of range (one of `ldmiss.core.pixels.RANGES`)."""

    shape: tuple[int, int, int]
    value_range: str

    def encode(self, x: Tensor) -> Tensor:
        """[0, 1] to the networks' range, (B, C, H, W)."""
        return network_from_unit(x, self.value_range)

    def decode(self, z: Tensor) -> Tensor:
        """The networks' range to [0, 1], (B, C, H, W)."""
        return unit_from_network(z, self.value_range)


@dataclass(frozen=True)
class LatentCodec:
    """Diffusion in the latent space of an autoencoder, scaled to unit variance (paper A.2.2).

    Attributes:
        shape: (C, h, w) of the latents.
        decoder: latents (B, C, h, w) to images (B, 1, H, W) in the networks' range.
        scale: of `latent_scale`, (1, 1, 1) or (C, 1, 1): diffusion sees scale * z.
        value_range: the networks' range, one of `ldmiss.core.pixels.RANGES`.
    """

    shape: tuple[int, int, int]
    decoder: Callable[[Tensor], Tensor]
    scale: Tensor
    value_range: str

    def decode(self, z: Tensor) -> Tensor:
        """Scaled latents (B, C, h, w) to images in [0, 1] units (B, 1, H, W)."""
        return unit_from_network(self.decoder(z / self.scale), self.value_range)


LATENT_SCALES = ("global", "per_channel", "none")


def latent_scale(latents: Tensor, kind: str) -> Tensor:
    """The factor that gives the training latents (N, C, h, w) unit standard deviation; float32.

    Args:
        latents: of the incomplete training images.
        kind: "global", 1 / std over all elements (Rombach et al. 2022, appendix G), (1, 1, 1); "per_channel",
            (C, 1, 1); "none", 1.

    Raises:
        ValueError: unknown kind.
    """
    if kind == "none":
        return torch.ones(1, 1, 1)
    if kind == "global":
        return (1.0 / latents.double().std()).float().reshape(1, 1, 1)
    if kind == "per_channel":
        return (1.0 / latents.double().std(dim=(0, 2, 3))).float().reshape(-1, 1, 1)
    raise ValueError(f"unknown latent scale {kind!r}; allowed: {', '.join(LATENT_SCALES)}")
