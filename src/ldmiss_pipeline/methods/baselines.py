"""The imputers without a network in one item: pixel mean, neighbour average, linear Gaussian."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ldmiss.baselines.averages import impute_mean, impute_neighbours
from ldmiss.baselines.gaussian import impute_gaussian
from ldmiss.core.noise import RowNoise
from ldmiss.core.saved_steps import SavedSteps
from ldmiss.files.tensors import load_tensors
from ldmiss.imputation.imputer import Imputer
from ldmiss_pipeline.artifacts.paths import Item
from ldmiss_pipeline.compute.device import Runtime
from ldmiss_pipeline.config.schema import Params

NumpyImputer = Callable[[NDArray[np.float32], NDArray[np.bool_]], NDArray[np.float32]]


def load_imputers(item: Item, params: Params, runtime: Runtime) -> dict[str, Imputer]:
    """All three, deterministic, on the CPU."""
    del params, runtime  # they have no settings at imputation
    tensors, _ = load_tensors(item.model("baselines"), kind="baselines")
    mean, covariance = tensors["mean"].numpy(), tensors["covariance"].numpy()
    return {
        "mean": _on_rows(lambda x, observed: impute_mean(x, observed, mean)),
        "neighbour": _on_images(impute_neighbours),
        "gaussian": _on_rows(lambda x, observed: impute_gaussian(x, observed, mean, covariance)),
    }


def _on_images(impute: NumpyImputer) -> Imputer:
    """An imputer of float32 (N, H, W) arrays."""

    def complete(x_obs: Tensor, observed: Tensor, noise: RowNoise, saved: SavedSteps) -> Tensor:
        del noise, saved
        completed = impute(x_obs[:, 0].cpu().numpy(), observed[:, 0].cpu().numpy())
        return torch.from_numpy(completed)[:, None].to(x_obs.device)

    return Imputer(complete, stochastic=False)


def _on_rows(impute: NumpyImputer) -> Imputer:
    """An imputer of float32 (N, d) arrays."""
    return _on_images(lambda x, observed: impute(x.reshape(len(x), -1), observed.reshape(len(x), -1)).reshape(x.shape))
