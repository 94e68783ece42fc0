"""Score models (LDMiss and DDPM) from their files, for sampling and imputation."""

from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from ldmiss.autoencoding.codecs import Codec
from ldmiss.diffusion.sde import VPSDE
from ldmiss.files.tensors import without_prefix
from ldmiss.imputation.imputer import Imputer
from ldmiss.imputation.score_based import ScoreModel, score_model
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


def score_imputers(method: str, model: ScoreModel, settings: dict[str, Any]) -> dict[str, Imputer]:
    """What pixels and latents share: self-guidance, and moment matching where the params have it."""
    ways = {f"{method}-guidance": partial(model.impute_by_guidance, **settings["guidance"])}
    if settings["moment_matching"] is not None:
        ways[f"{method}-moment-matching"] = partial(model.impute_by_moment_matching, **settings["moment_matching"])
    return {name: Imputer(complete, stochastic=True) for name, complete in ways.items()}
