"""The autoencoder and what its encoder sees, from params or from a model file (its own, or one that carries it)."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ldmiss.autoencoding.encoder_input import EncoderInput
from ldmiss.core.fill import fill_image
from ldmiss.core.pixels import unit_from_uint8
from ldmiss.files.networks import restore_network
from ldmiss.networks.autoencoder import Autoencoder

if TYPE_CHECKING:
    from ldmiss_pipeline.config.schema import VAE, Params

_ROBUST_FILL = "grey"


def autoencoder_config(vae: "VAE") -> dict[str, Any]:
    """Arguments of `Autoencoder` for the section `vae`: grey images, with observed-indicators for the robust input."""
    return {
        "in_channels": 2 if vae.encoder_input == "robust" else 1, "out_channels": 1, **vae.network.model_dump()
    }  # fmt: skip


def encoder_input_from(params: "Params", images: Tensor, observed: Tensor) -> EncoderInput:
    """What the encoder sees, from params and incomplete training images uint8 (N, 1, H, W).

    `vae.encoder_input: robust` is one recipe and brings its grey fill along, whatever `missing.fill` says.
    """
    robust = params.vae.encoder_input == "robust"
    fill = fill_image(_ROBUST_FILL if robust else params.missing.fill, unit_from_uint8(images), observed)
    return EncoderInput(fill, params.dataset.range, robust)


def restore_encoder_input(tensors: dict[str, Tensor], facts: dict[str, Any], device: torch.device) -> EncoderInput:
    """The input that the autoencoder in a model file was trained with."""
    return EncoderInput(tensors["fill"].to(device), facts["value_range"], facts["robust"])


def restore_autoencoder(
    path: Path, tensors: dict[str, Tensor], facts: dict[str, Any], device: torch.device
) -> Autoencoder:
    """The autoencoder stored under `vae.` in a model file with `facts["vae"]`."""
    return restore_network(Autoencoder, facts["vae"], tensors, prefix="vae", path=path, device=device)


def carried(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts of a VAE's file that a file which carries the autoencoder along has to repeat."""
    return {key: facts[key] for key in ("vae", "value_range", "robust", "dataset")}
