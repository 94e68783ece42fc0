"""The imputers without a network in one item: pixel mean, neighbour average, linear Gaussian."""

from collections.abc import Callable
from typing import Any

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
"""x and observed (N, C, H, W) -> the completed values, in that order."""


def load_imputers(item: Item, params: Params, runtime: Runtime) -> dict[str, Imputer]:
    """All of them, deterministic, on the CPU; no Gaussian where images are too large for the fit of one."""
    del params, runtime  # they have no settings at imputation
    tensors, _ = load_tensors(item.model("baselines"), kind="baselines")
    mean = tensors["mean"].numpy()
    imputers: dict[str, NumpyImputer] = {
        "mean": lambda x, observed: impute_mean(_rows(x), _rows(observed), mean),
        "neighbour": lambda x, observed: _neighbours(x, observed, mean),
    }
    if "covariance" in tensors:
        covariance = tensors["covariance"].numpy()
        imputers["gaussian"] = lambda x, observed: impute_gaussian(_rows(x), _rows(observed), mean, covariance)
    return {name: _imputer(impute) for name, impute in imputers.items()}


def _imputer(impute: NumpyImputer) -> Imputer:
    def complete(x_obs: Tensor, observed: Tensor, noise: RowNoise, saved: SavedSteps) -> Tensor:
        del noise, saved
        completed = impute(x_obs.cpu().numpy(), observed.cpu().numpy())
        return torch.from_numpy(completed.reshape(x_obs.shape)).to(x_obs.device)

    return Imputer(complete, stochastic=False)


def _neighbours(x: NDArray[np.float32], observed: NDArray[np.bool_], mean: NDArray[np.float64]) -> NDArray[np.float32]:
    """Neighbour averages; the pixel mean in a channel of which nothing is observed, which has no neighbours."""
    completed = impute_neighbours(_channels(x), _channels(observed)).reshape(x.shape)
    some = observed.any(axis=(2, 3), keepdims=True)
    return np.where(some, completed, mean.reshape(x.shape[1:]).astype(np.float32))


def _rows(x: NDArray[Any]) -> NDArray[Any]:
    """(N, C, H, W) to (N, C H W)."""
    return x.reshape(len(x), -1)


def _channels(x: NDArray[Any]) -> NDArray[Any]:
    """(N, C, H, W) to (N C, H, W)."""
    return x.reshape(-1, *x.shape[2:])
