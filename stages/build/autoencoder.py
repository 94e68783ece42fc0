"""The autoencoder from a model file (the VAE's own, or one that carries it along)."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ldmiss.networks.autoencoder import Autoencoder
from stages.build.network import restore_network


def autoencoder_config(network: Any) -> dict[str, Any]:
    """Arguments of `Autoencoder` for the section `vae.network`; one grey channel in and out."""
    return {"in_channels": 1, "out_channels": 1, **network.model_dump()}


def restore_autoencoder(
    path: Path, tensors: dict[str, Tensor], facts: dict[str, Any], device: torch.device
) -> Autoencoder:
    """The autoencoder stored under `vae.` in a model file with `facts["vae"]`."""
    return restore_network(Autoencoder, facts["vae"], tensors, prefix="vae", path=path, device=device)
