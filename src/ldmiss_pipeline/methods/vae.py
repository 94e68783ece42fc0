"""The autoencoder of LDMiss by itself, as an imputer: the reconstruction of the filled image (paper section 6.2)."""

from functools import partial

from torch import Tensor

from ldmiss.core.noise import RowNoise
from ldmiss.core.saved_steps import SavedSteps
from ldmiss.files.tensors import load_tensors
from ldmiss.imputation.autoencoder import impute_autoencoder
from ldmiss.imputation.imputer import Imputer
from ldmiss.networks.layers import at_precision
from ldmiss_pipeline.artifacts.paths import Item
from ldmiss_pipeline.compute.device import Runtime
from ldmiss_pipeline.config.schema import Params
from ldmiss_pipeline.models.autoencoder import restore_autoencoder, restore_encoder_input


def load_imputers(item: Item, params: Params, runtime: Runtime) -> dict[str, Imputer]:
    """Reconstruction, deterministic."""
    del params  # it has no settings at imputation
    path = item.model("vae")
    tensors, metadata = load_tensors(path, kind="vae")
    autoencoder = restore_autoencoder(path, tensors, metadata, runtime.device)
    impute = partial(
        impute_autoencoder,
        at_precision(autoencoder.encoder, runtime.dtype), at_precision(autoencoder.decoder, runtime.dtype),
        encoder_input=restore_encoder_input(tensors, metadata, runtime.device),
    )  # fmt: skip

    def complete(x_obs: Tensor, observed: Tensor, noise: RowNoise, saved: SavedSteps) -> Tensor:
        del noise, saved
        return impute(x_obs, observed)

    return {"autoencoder": Imputer(complete, stochastic=False)}
