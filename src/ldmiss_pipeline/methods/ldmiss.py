"""LDMiss: diffusion in the latent space of an autoencoder trained on incomplete images (paper sections 3-5)."""

from functools import partial

from ldmiss.files.tensors import load_tensors
from ldmiss.imputation.imputer import Generate, Imputer
from ldmiss.imputation.score_based import ScoreModel
from ldmiss_pipeline.artifacts.paths import Item
from ldmiss_pipeline.compute.device import Runtime
from ldmiss_pipeline.config.schema import Params
from ldmiss_pipeline.models.autoencoder import restore_autoencoder
from ldmiss_pipeline.models.score import latent_codec, restore_score_model


def load_model(item: Item, runtime: Runtime) -> ScoreModel:
    """The trained score model, in latent space."""
    path = item.model("ldmiss")
    tensors, metadata = load_tensors(path, kind="ldmiss")
    autoencoder = restore_autoencoder(path, tensors, metadata, runtime.device)
    codec = latent_codec(autoencoder, tensors, metadata, runtime)
    return restore_score_model(path, tensors, metadata, codec, runtime)


def load_generator(item: Item, params: Params, runtime: Runtime) -> Generate:
    """Unconditional samples, in latent space."""
    return partial(load_model(item, runtime).generate, **params.ldmiss.sample.model_dump())


def load_imputers(item: Item, params: Params, runtime: Runtime) -> dict[str, Imputer]:
    """Self-guidance, through decoder and score network."""
    complete = partial(load_model(item, runtime).impute_by_guidance, **params.ldmiss.impute.guidance.model_dump())
    return {"ldmiss-guidance": Imputer(complete, stochastic=True)}
