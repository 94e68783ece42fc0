"""Conditional diffusion by re-masking: draws in a few passes (beyond the paper; after CSDI)."""

from functools import partial

from ldmiss.diffusion.sde import VPSDE
from ldmiss.files.tensors import load_tensors
from ldmiss.imputation.conditional import ConditionalModel
from ldmiss.imputation.imputer import Imputer
from ldmiss.networks.layers import at_precision
from ldmiss.networks.restore import restore_network
from ldmiss.remasking.network import PatchUNet
from ldmiss_pipeline.artifacts.paths import Item
from ldmiss_pipeline.compute.device import Runtime
from ldmiss_pipeline.config.schema import Params


def load_imputers(item: Item, params: Params, runtime: Runtime) -> dict[str, Imputer]:
    """Denoising of the missing pixels, given the known ones."""
    path = item.model("conditional")
    tensors, metadata = load_tensors(path, kind="conditional")
    network = restore_network(PatchUNet, metadata["network"], tensors, device=runtime.device, where=path)
    diffusion = metadata["diffusion"]
    sde = VPSDE(diffusion["beta_min"], diffusion["beta_max"])
    model = ConditionalModel(at_precision(network, runtime.dtype), sde, diffusion["tau"], metadata["image_shape"])
    complete = partial(model.impute, **params.conditional.impute.model_dump())
    return {"conditional-diffusion": Imputer(complete, stochastic=True)}
