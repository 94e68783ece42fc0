"""DiffPuter: EM with a diffusion model on rows (Zhang et al. 2025; paper section 4.1)."""

from functools import partial
from typing import TYPE_CHECKING

from ldmiss.diffputer.em import Sampling
from ldmiss.imputation.imputer import Imputer
from ldmiss_pipeline.models.diffputer import restore_diffputer

if TYPE_CHECKING:
    from ldmiss_pipeline.artifacts.paths import Item
    from ldmiss_pipeline.compute.device import Runtime
    from ldmiss_pipeline.config.schema import Params
    from ldmiss_pipeline.methods import Generate


def load_generator(item: "Item", params: "Params", runtime: "Runtime") -> "Generate":
    """Unconditional samples, by EDM's stochastic Heun sampler."""
    model = restore_diffputer(item.model("diffputer"), runtime)
    return partial(model.generate, num_steps=params.diffputer.sample.num_steps)


def load_imputers(item: "Item", params: "Params", runtime: "Runtime") -> dict[str, Imputer]:
    """Replacement with resampling."""
    settings = params.diffputer.impute
    model = restore_diffputer(item.model("diffputer"), runtime)
    sampling = Sampling(settings.num_steps, settings.num_resamples)
    return {"diffputer-replacement": Imputer(partial(model.impute, sampling=sampling), stochastic=True)}
