"""The Gaussian baseline against scikit-learn's IterativeImputer with Bayesian ridge regressions, an independent code.

Both estimate the conditional mean of a multivariate normal from incomplete rows, one by pairwise moments and the other
by chained regressions. (scikit-learn is here because the embedded digits' package needs it.)
"""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.experimental import enable_iterative_imputer  # noqa: F401  (scikit-learn asks for this import)
from sklearn.impute import IterativeImputer
from sklearn.linear_model import BayesianRidge

from ldmiss.baselines.gaussian import fit_gaussian, impute_gaussian
from ldmiss.core.randomness import numpy_generator

DIM = 8
POSITIONS = np.arange(DIM)
COVARIANCE = 0.8 ** abs(POSITIONS[:, None] - POSITIONS[None, :])
MEAN = np.linspace(-1, 1, DIM)


def rows(num_rows: int) -> NDArray[np.float32]:
    """Rows of a chain of correlated normals."""
    return numpy_generator(0).multivariate_normal(MEAN, COVARIANCE, size=num_rows).astype(np.float32)


def ours(x: NDArray[np.float32], observed: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The baseline, fitted on the same incomplete rows."""
    hidden = np.where(observed, x, np.float32("nan"))
    return impute_gaussian(hidden, observed, *fit_gaussian(hidden, observed, ridge=1e-3))


def theirs(x: NDArray[np.float32], observed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """scikit-learn's; iterated until it says that it has converged (a warning otherwise is an error)."""
    imputer = IterativeImputer(BayesianRidge(), max_iter=100, tol=5e-3, random_state=0)
    return imputer.fit_transform(np.where(observed, x, np.nan).astype(np.float64))


@pytest.mark.filterwarnings("error")
def test_one_incomplete_column_is_the_same_regression() -> None:
    """Where only one column has gaps both are a linear regression on the others: apart by a tenth of its error.

    By no less, because pairwise moments use the rows in which the column is missing, too, and a regression cannot.
    """
    x = rows(1000)
    observed = np.ones_like(x, dtype=bool)
    observed[:, 3] = numpy_generator(1).random(len(x)) >= 0.3
    one, other = ours(x, observed), theirs(x, observed)
    conditional_std = np.linalg.inv(COVARIANCE)[3, 3] ** -0.5
    assert np.sqrt(np.mean((one - other)[~observed] ** 2)) < 0.15 * conditional_std
    assert np.std(other[~observed]) > 0.5  # it is a regression, not the column's mean


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("rate", "bound"), [(0.1, 1.05), (0.3, 1.3)])
def test_scattered_gaps(rate: float, bound: float) -> None:
    """Under MCAR both come near the error of the exact conditional mean, ours at least as near as theirs.

    Chained regressions on imputed means lose at higher rates (1.23 times the exact error at .3): what is imputed has
    no noise, so that the regressions trust it too much. Pairwise moments have no such bias.
    """
    x = rows(2000)
    observed = numpy_generator(2).random(x.shape) >= rate
    exact = impute_gaussian(x, observed, MEAN, COVARIANCE)
    errors = {
        name: float(np.mean((completed - x)[~observed] ** 2))
        for name, completed in (("exact", exact), ("ours", ours(x, observed)), ("theirs", theirs(x, observed)))
    }
    assert errors["ours"] < 1.03 * errors["exact"]
    assert errors["theirs"] < bound * errors["exact"]
    assert errors["ours"] < 1.01 * errors["theirs"]
    assert errors["theirs"] < 0.5 * float(np.var(x))  # it does more than fill in means
