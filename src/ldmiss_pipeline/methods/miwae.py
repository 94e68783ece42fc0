"""MIWAE: an importance-weighted autoencoder (Mattei & Frellsen 2019; a rival, beyond the paper)."""

from functools import partial

from ldmiss.autoencoding.autoencoder import Autoencoder
from ldmiss.files.tensors import load_tensors
from ldmiss.imputation.imputer import Imputer
from ldmiss.imputation.miwae import MIWAEModel
from ldmiss.networks.layers import at_precision
from ldmiss.networks.restore import restore_network
from ldmiss_pipeline.artifacts.paths import Item
from ldmiss_pipeline.compute.device import Runtime
from ldmiss_pipeline.config.schema import Params


def load_imputers(item: Item, params: Params, runtime: Runtime) -> dict[str, Imputer]:
    """Weighted means, and draws by sampling importance resampling."""
    path = item.model("miwae")
    tensors, metadata = load_tensors(path, kind="miwae")
    network = restore_network(Autoencoder, metadata["network"], tensors, device=runtime.device, where=path)
    encoder, decoder = (at_precision(part, runtime.dtype) for part in (network.encoder, network.decoder))
    model, settings = MIWAEModel(encoder, decoder, metadata["image_shape"]), params.miwae.impute.model_dump()
    return {
        "miwae-mean": Imputer(partial(model.impute_mean, **settings), stochastic=False),
        "miwae-draws": Imputer(partial(model.impute_draw, **settings), stochastic=True),
    }
