"""The autoencoder and what its encoder sees, from a model file: its own, or one that carries it along."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ldmiss.autoencoding.autoencoder import Autoencoder
from ldmiss.autoencoding.encoder_input import EncoderInput
from ldmiss.files.tensors import without_prefix
from ldmiss.networks.restore import restore_network


def restore_encoder_input(tensors: dict[str, Tensor], metadata: dict[str, Any], device: torch.device) -> EncoderInput:
    """The input that the autoencoder in a model file was trained with."""
    return EncoderInput(tensors["fill"].to(device), metadata["value_range"], metadata["robust"])


def restore_autoencoder(
    path: Path, tensors: dict[str, Tensor], metadata: dict[str, Any], device: torch.device
) -> Autoencoder:
    """The autoencoder stored under `vae.` in a model file with `metadata["vae"]`."""
    return restore_network(Autoencoder, metadata["vae"], without_prefix("vae", tensors), device=device, where=path)
