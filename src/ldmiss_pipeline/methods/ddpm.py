"""DDPM: diffusion in pixel space with the loss on observed pixels (MissDiff; paper sections 2, 4.1 and 5)."""

from functools import partial

from ldmiss.autoencoding.codecs import PixelCodec
from ldmiss.files.tensors import load_tensors
from ldmiss.imputation.imputer import Generate, Imputer
from ldmiss.imputation.score_based import ScoreModel
from ldmiss_pipeline.artifacts.paths import Item
from ldmiss_pipeline.compute.device import Runtime
from ldmiss_pipeline.config.schema import Params
from ldmiss_pipeline.models.score import restore_score_model


def load_model(item: Item, runtime: Runtime) -> ScoreModel:
    """The trained score model, in pixel space."""
    path = item.model("ddpm")
    tensors, metadata = load_tensors(path, kind="ddpm")
    channels, height, width = metadata["image_shape"]
    codec = PixelCodec((channels, height, width), metadata["value_range"])
    return restore_score_model(path, tensors, metadata, codec, runtime)


def load_generator(item: Item, params: Params, runtime: Runtime) -> Generate:
    """Unconditional samples, in pixel space."""
    return partial(load_model(item, runtime).generate, **params.ddpm.sample.model_dump())


def load_imputers(item: Item, params: Params, runtime: Runtime) -> dict[str, Imputer]:
    """Self-guidance, replacement of the observed pixels, and moment matching where the params have it."""
    settings, model = params.ddpm.impute.model_dump(), load_model(item, runtime)
    ways = {
        "ddpm-guidance": partial(model.impute_by_guidance, **settings["guidance"]),
        "ddpm-replacement": partial(model.impute_by_replacement, **settings["replacement"]),
    }
    if settings["moment_matching"] is not None:
        ways["ddpm-moment-matching"] = partial(model.impute_by_moment_matching, **settings["moment_matching"])
    return {name: Imputer(complete, stochastic=True) for name, complete in ways.items()}
