"""Score models (LDMiss and DDPM) from their files, for sampling and imputation."""

from pathlib import Path
from typing import Any

from torch import Tensor

from ldmiss.autoencoding.autoencoder import Autoencoder
from ldmiss.autoencoding.codecs import Codec, LatentCodec
from ldmiss.diffusion.sde import VPSDE
from ldmiss.files.tensors import without_prefix
from ldmiss.imputation.score_based import ScoreModel, score_model
from ldmiss.networks.layers import at_precision
from ldmiss_pipeline.compute.device import Runtime


def restore_score_model(
    path: Path, tensors: dict[str, Tensor], metadata: dict[str, Any], codec: Codec, runtime: Runtime
) -> ScoreModel:
    """The score model stored under `unet.` in a model file; its SDE and tau are those it was trained with."""
    diffusion = metadata["diffusion"]
    return score_model(
        metadata["unet"], without_prefix("unet", tensors), codec,
        sde=VPSDE(diffusion["beta_min"], diffusion["beta_max"]), tau=diffusion["tau"],
        device=runtime.device, dtype=runtime.dtype, where=path,
    )  # fmt: skip


def latent_codec(
    autoencoder: Autoencoder, tensors: dict[str, Tensor], metadata: dict[str, Any], runtime: Runtime
) -> LatentCodec:
    """The latent space of LDMiss, by the autoencoder that its model file carries along."""
    channels, height, width = metadata["shape"]
    decoder = at_precision(autoencoder.decoder, runtime.dtype)
    scale = tensors["scale"].to(runtime.device)
    return LatentCodec((channels, height, width), decoder, scale, metadata["value_range"])
