"""LDMiss's posterior, from the model file of LDMiss or one that carries it along."""

from pathlib import Path
from typing import Any

from torch import Tensor

from ldmiss.imputation.posterior import LatentPosterior
from ldmiss.networks.layers import at_precision
from ldmiss_pipeline.compute.device import Runtime
from ldmiss_pipeline.models.autoencoder import restore_autoencoder, restore_encoder_input
from ldmiss_pipeline.models.score import latent_codec, restore_score_model


def restore_posterior(
    path: Path, tensors: dict[str, Tensor], metadata: dict[str, Any], sampling: dict[str, Any], runtime: Runtime
) -> LatentPosterior:
    """Score model and encoder; `sampling` as `LatentPosterior` has it."""
    autoencoder = restore_autoencoder(path, tensors, metadata, runtime.device)
    codec = latent_codec(autoencoder, tensors, metadata, runtime)
    return LatentPosterior(
        restore_score_model(path, tensors, metadata, codec, runtime), codec,
        at_precision(autoencoder.encoder, runtime.dtype), restore_encoder_input(tensors, metadata, runtime.device),
        metadata["image_shape"], sampling,
    )  # fmt: skip
