"""LDMiss's posterior, from the model file of LDMiss or one that carries it along."""

from pathlib import Path
from typing import Any

from torch import Tensor

from ldmiss.imputation.posterior import LatentPosterior
from ldmiss.networks.layers import at_precision
from ldmiss_pipeline.compute.device import Runtime
from ldmiss_pipeline.models.autoencoder import restore_autoencoder, restore_encoder_input
from ldmiss_pipeline.models.score import restore_latent_score_model


def restore_posterior(
    path: Path, tensors: dict[str, Tensor], metadata: dict[str, Any], settings: dict[str, Any], runtime: Runtime
) -> LatentPosterior:
    """Score model and encoder; `settings` as `LatentPosterior` has them."""
    autoencoder = restore_autoencoder(path, tensors, metadata, runtime.device)
    encoder = at_precision(autoencoder.encoder, runtime.dtype)
    encoder_input, scale = restore_encoder_input(tensors, metadata, runtime.device), tensors["scale"].to(runtime.device)

    def encode(x_obs: Tensor, observed: Tensor) -> Tensor:
        mean, _ = encoder(encoder_input(x_obs, observed)).chunk(2, dim=1)
        return scale * mean

    return LatentPosterior(restore_latent_score_model(path, tensors, metadata, runtime), encode, settings)
