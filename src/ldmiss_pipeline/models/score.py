"""Score models (LDMiss and DDPM) from their files, for sampling and imputation."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ldmiss.autoencoding.codecs import Codec
from ldmiss.diffusion.parameterization import Denoiser
from ldmiss.diffusion.sde import VPSDE
from ldmiss.files.networks import restore_network
from ldmiss.imputation.score_based import ScoreModel
from ldmiss.networks.layers import at_precision
from ldmiss.networks.unet import UNet

if TYPE_CHECKING:
    from ldmiss_pipeline.compute.device import Runtime


def restore_score_model(
    path: Path, tensors: dict[str, Tensor], facts: dict[str, Any], codec: Codec, runtime: "Runtime"
) -> ScoreModel:
    """The score model stored under `unet.` in a model file; its SDE and tau are those it was trained with."""
    unet = restore_network(UNet, facts["unet"], tensors, prefix="unet", path=path, device=runtime.device)
    sde = VPSDE(facts["diffusion"]["beta_min"], facts["diffusion"]["beta_max"])
    denoiser = Denoiser(at_precision(unet, runtime.dtype), sde)
    return ScoreModel(denoiser, codec, runtime.device, facts["diffusion"]["tau"])
