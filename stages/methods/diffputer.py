"""DiffPuter: EM with a diffusion model on rows (Zhang et al. 2025; paper section 4.1)."""

from functools import partial
from typing import TYPE_CHECKING

from ldmiss.imputation.diffputer import Sampling
from ldmiss.imputation.interface import Imputer
from stages.build.diffputer import restore_diffputer

if TYPE_CHECKING:
    from stages.methods import Generate
    from stages.paths import Item
    from stages.runtime import Runtime
    from stages.schema import Params


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
