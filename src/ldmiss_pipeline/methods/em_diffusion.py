"""A diffusion prior fitted by expectation-maximisation (beyond the paper; Rozet et al. 2024), as an imputer."""

from functools import partial

from ldmiss.autoencoding.codecs import PixelCodec
from ldmiss.diffusion.parameterization import Denoiser, eps_from_velocity
from ldmiss.diffusion.sde import VPSDE
from ldmiss.files.tensors import load_tensors
from ldmiss.imputation.imputer import Imputer
from ldmiss.imputation.score_based import ScoreModel
from ldmiss.networks.layers import at_precision
from ldmiss.networks.restore import restore_network
from ldmiss.remasking.network import VALUE_RANGE, PatchUNet
from ldmiss_pipeline.artifacts.paths import Item
from ldmiss_pipeline.compute.device import Runtime
from ldmiss_pipeline.config.schema import Params


def load_imputers(item: Item, params: Params, runtime: Runtime) -> dict[str, Imputer]:
    """Moment matching, as in the E-step, with settings of its own."""
    path = item.model("em_diffusion")
    tensors, metadata = load_tensors(path, kind="em_diffusion")
    network = restore_network(PatchUNet, metadata["network"], tensors, device=runtime.device, where=path)
    diffusion = metadata["diffusion"]
    sde = VPSDE(diffusion["beta_min"], diffusion["beta_max"])
    denoiser = Denoiser(eps_from_velocity(at_precision(network, runtime.dtype), sde), sde)
    codec = PixelCodec(metadata["image_shape"], VALUE_RANGE)
    model = ScoreModel(denoiser, codec, runtime.device, diffusion["tau"])
    complete = partial(model.impute_by_moment_matching, **params.em_diffusion.impute.model_dump())
    return {"em-diffusion": Imputer(complete, stochastic=True)}
