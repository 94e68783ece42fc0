"""scikit-learn's IterativeImputer with Bayesian ridge regressions, stopped where it takes too long."""

import math
import time
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401  (scikit-learn asks for this import)
from sklearn.impute import IterativeImputer
from sklearn.linear_model import BayesianRidge

NUM_ITERATIONS = 10
"""scikit-learn's default."""


class OutOfTime(Exception):
    """The imputer was stopped."""


@dataclass(frozen=True)
class Outcome:
    """`completed` rows (N, d), or None where it was stopped after `share` of its regressions."""

    completed: NDArray[np.float64] | None
    seconds: float
    share: float


def impute(x: NDArray[np.float32], observed: NDArray[np.bool_], *, limit_seconds: float = math.inf) -> Outcome:
    """Complete incomplete rows (N, d), in at most about `limit_seconds`."""
    start = time.perf_counter()
    fits = 0

    class Bounded(BayesianRidge):
        def fit(self, *args: object, **kwargs: object) -> "Bounded":
            nonlocal fits
            if time.perf_counter() - start > limit_seconds:
                raise OutOfTime
            fits += 1
            super().fit(*args, **kwargs)
            return self

    imputer = IterativeImputer(Bounded(), max_iter=NUM_ITERATIONS, random_state=0)
    completed = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            completed = imputer.fit_transform(np.where(observed, x, np.nan).astype(np.float64))
    except OutOfTime:
        pass
    seconds = time.perf_counter() - start
    return Outcome(completed, seconds, 1.0 if completed is not None else fits / (NUM_ITERATIONS * x.shape[1]))
