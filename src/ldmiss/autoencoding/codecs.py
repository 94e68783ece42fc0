"""Codecs: what stands between pixels and the space in which diffusion runs.

Training a score network, sampling from it and self-guided imputation are the same code in pixel and in latent space;
only the codec differs. (After edm2's `training/encoders.py`.)
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ldmiss.checks import check_array, check_choice, check_count, check_finite
from ldmiss.core.pixels import RANGES, network_from_scaled, scaled_from_network
from ldmiss.errors import InputError


class Codec(Protocol):
    """A map between scaled images and the space of diffusion."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the space in which diffusion runs."""
        ...

    def decode(self, z: Tensor) -> Tensor:
        """(B, *shape) to scaled images (B, C, H, W), differentiable and not clipped."""
        ...


@dataclass(frozen=True)
class PixelCodec:
    """Diffusion in pixel space: only a change of range (one of `ldmiss.core.pixels.RANGES`).

    Raises:
        InputError: an unknown range, or a shape that is not (C, H, W).
    """

    shape: tuple[int, int, int]
    value_range: str

    def __post_init__(self) -> None:
        _check_space(self.shape, self.value_range)

    def encode(self, x: Tensor) -> Tensor:
        """Scaled images to the networks' range, (B, C, H, W)."""
        return network_from_scaled(x, self.value_range)

    def decode(self, z: Tensor) -> Tensor:
        """The networks' range to scaled images, (B, C, H, W)."""
        return scaled_from_network(z, self.value_range)


@dataclass(frozen=True)
class LatentCodec:
    """Diffusion in the latent space of an autoencoder, scaled to unit variance (paper A.2.2).

    Attributes:
        shape: (C, h, w) of the latents.
        decoder: latents (B, C, h, w) to images (B, C', H, W) in the networks' range.
        scale: of `latent_scale`, (1, 1, 1) or (C, 1, 1): diffusion sees scale * z.
        value_range: the networks' range, one of `ldmiss.core.pixels.RANGES`.

    Raises:
        InputError: an unknown range, a shape that is not (C, h, w), or a scale of another shape.
    """

    shape: tuple[int, int, int]
    decoder: Callable[[Tensor], Tensor]
    scale: Tensor
    value_range: str

    def __post_init__(self) -> None:
        _check_space(self.shape, self.value_range)
        channels = self.shape[0] if len(self.scale) > 1 else 1
        check_array("scale", self.scale, (channels, 1, 1), "float32")
        check_finite("scale", self.scale)

    def decode(self, z: Tensor) -> Tensor:
        """Scaled latents (B, C, h, w) to scaled images (B, C', H, W)."""
        return scaled_from_network(self.decoder(z / self.scale), self.value_range)


def _check_space(shape: tuple[int, ...], value_range: str) -> None:
    if len(shape) != 3:
        raise InputError(f"shape: {shape}; allowed: (channels, height, width)")
    for size in shape:
        check_count("shape", size)
    check_choice("value_range", value_range, RANGES)


LATENT_SCALES = ("global", "per_channel", "none")


def latent_scale(latents: Tensor, kind: str) -> Tensor:
    """The factor that gives the training latents (N, C, h, w) unit standard deviation; float32.

    Args:
        latents: of the incomplete training images.
        kind: "global", 1 / std over all elements (Rombach et al. 2022, appendix G), (1, 1, 1); "per_channel",
            (C, 1, 1); "none", 1.

    Raises:
        InputError: unknown kind, latents of another shape or dtype or not finite, or a single value in all of them.
    """
    check_choice("kind", kind, LATENT_SCALES)
    check_array("latents", latents, ("N", "C", "h", "w"), "float32")
    check_finite("latents", latents)
    if kind == "none":
        return torch.ones(1, 1, 1)
    if kind == "global":
        scale = (1.0 / latents.double().std()).float().reshape(1, 1, 1)
    else:
        scale = (1.0 / latents.double().std(dim=(0, 2, 3))).float().reshape(-1, 1, 1)
    if not bool(scale.isfinite().all()):
        raise InputError("latents: all of one value, which no scale gives a deviation; allowed: values that differ")
    return scale
