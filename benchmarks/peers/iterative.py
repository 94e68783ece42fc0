"""scikit-learn's IterativeImputer with Bayesian ridge regressions, its default."""

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401  (scikit-learn asks for this import)
from sklearn.impute import IterativeImputer


def impute(x: NDArray[np.float32], observed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Incomplete rows (N, d) completed; entries that are not observed are not read."""
    imputer = IterativeImputer(random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        completed: NDArray[np.float64] = imputer.fit_transform(np.where(observed, x, np.nan).astype(np.float64))
    return completed
