"""DiffPuter: EM with a diffusion model on rows (Zhang et al. 2025; paper section 4.1)."""

from functools import partial

from ldmiss.diffputer.em import Normalizer, Sampling, denoiser_of
from ldmiss.diffputer.mlp import DiffPuterMLP
from ldmiss.files.tensors import load_tensors, without_prefix
from ldmiss.imputation.diffputer import DiffPuterModel
from ldmiss.imputation.imputer import Generate, Imputer
from ldmiss.networks.restore import restore_network
from ldmiss_pipeline.artifacts.paths import Item
from ldmiss_pipeline.compute.device import Runtime
from ldmiss_pipeline.config.schema import Params


def load_model(item: Item, runtime: Runtime) -> DiffPuterModel:
    """The fitted model."""
    path = item.model("diffputer")
    tensors, metadata = load_tensors(path, kind="diffputer")
    weights = without_prefix("mlp", tensors)
    network = restore_network(DiffPuterMLP, metadata["mlp"], weights, device=runtime.device, where=path)
    normalizer = Normalizer(tensors["mean"].to(runtime.device), tensors["std"].to(runtime.device))
    channels, height, width = metadata["image_shape"]
    return DiffPuterModel(denoiser_of(network, runtime.dtype), normalizer, (channels, height, width))


def load_generator(item: Item, params: Params, runtime: Runtime) -> Generate:
    """Unconditional samples, by EDM's stochastic Heun sampler."""
    return partial(load_model(item, runtime).generate, num_steps=params.diffputer.sample.num_steps)


def load_imputers(item: Item, params: Params, runtime: Runtime) -> dict[str, Imputer]:
    """Replacement with resampling."""
    settings = params.diffputer.impute
    sampling = Sampling(settings.num_steps, settings.num_resamples)
    complete = partial(load_model(item, runtime).impute, sampling=sampling)
    return {"diffputer-replacement": Imputer(complete, stochastic=True)}
