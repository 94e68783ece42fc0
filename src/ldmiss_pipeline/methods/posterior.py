"""LDMiss's posterior: its networks, started from the encoder's answer, with what the decoder leaves out."""

from functools import partial

from ldmiss.files.tensors import load_tensors
from ldmiss.imputation.imputer import Imputer
from ldmiss.posterior.residual import Residual
from ldmiss_pipeline.artifacts.paths import Item
from ldmiss_pipeline.compute.device import Runtime
from ldmiss_pipeline.config.schema import Params
from ldmiss_pipeline.models.posterior import restore_posterior


def load_imputers(item: Item, params: Params, runtime: Runtime) -> dict[str, Imputer]:
    """Draws as they were calibrated; there is nothing left to set."""
    del params
    path = item.model("posterior")
    tensors, metadata = load_tensors(path, kind="posterior")
    posterior = restore_posterior(path, tensors, metadata, metadata["sampling"], runtime)
    edges, quantiles = (tensors[f"residual.{name}"].to(runtime.device) for name in ("edges", "quantiles"))
    complete = partial(posterior.impute, noise_sd=metadata["noise_sd"], residual=Residual(edges, quantiles))
    return {"ldmiss-posterior": Imputer(complete, stochastic=True)}
