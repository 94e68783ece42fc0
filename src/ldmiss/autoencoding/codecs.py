"""Codecs: what stands between pixels and the space in which diffusion runs.

Training a score network, sampling from it and self-guided imputation are the same code in pixel and in latent space;
only the codec differs. (After edm2's `training/encoders.py`.)
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from ldmiss.pixels import network_from_unit, unit_from_network


class Codec(Protocol):
    """Between images in [0, 1] and the space of diffusion."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the space in which diffusion runs."""
        ...

    def decode(self, z: Tensor) -> Tensor:
        """(B, *shape) to images (B, 1, 28, 28) in [0, 1] units, differentiable and not clipped."""
        ...


@dataclass(frozen=True)
class PixelCodec:
    """Diffusion in pixel space: only a change of range."""

    shape: tuple[int, int, int]

    def encode(self, x: Tensor) -> Tensor:
        """[0, 1] to [-1, 1], (B, C, H, W)."""
        return network_from_unit(x)

    def decode(self, z: Tensor) -> Tensor:
        """[-1, 1] to [0, 1], (B, C, H, W)."""
        return unit_from_network(z)


@dataclass(frozen=True)
class LatentCodec:
    """Diffusion in the latent space of an autoencoder, scaled to unit variance (paper A.2.2).

    Attributes:
        shape: (C, h, w) of the latents.
        decoder: latents (B, C, h, w) to images (B, 1, H, W) in [-1, 1].
        scale: Rombach's scale factor, 1 / std of the training latents: diffusion sees scale * z.
    """

    shape: tuple[int, int, int]
    decoder: Callable[[Tensor], Tensor]
    scale: float

    def decode(self, z: Tensor) -> Tensor:
        """Scaled latents (B, C, h, w) to images in [0, 1] units (B, 1, H, W)."""
        return unit_from_network(self.decoder(z / self.scale))


def latent_scale(latents: Tensor) -> float:
    """1 / standard deviation over all elements of the training latents (Rombach et al. 2022, appendix G)."""
    return 1.0 / float(latents.double().std())
