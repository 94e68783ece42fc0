"""Whether two samples of draws have one law: each pixel by Kolmogorov-Smirnov, their joint law by energy distance."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.stats import ks_2samp

from ldmiss.core.randomness import numpy_generator

LEVEL = 0.01
"""Two laws are called different below this p value (of all pixels together)."""

Draws = NDArray[np.floating]
"""(draws, pixels)."""


def smallest_ks(a: Draws, b: Draws) -> float:
    """The p value of the most different pixel's Kolmogorov-Smirnov test, times the number of pixels (Bonferroni)."""
    p_values = [ks_2samp(a[:, pixel], b[:, pixel]).pvalue for pixel in range(a.shape[1])]
    return float(min(1.0, a.shape[1] * min(p_values)))


def energy_test(a: Draws, b: Draws, num_permutations: int = 300) -> float:
    """The p value of the energy distance between two samples, by permutation (Szekely & Rizzo 2004)."""
    distances = cdist(both := np.concatenate([a, b]), both)
    rng = numpy_generator(0, "permutations")

    def energy(first: NDArray[np.bool_]) -> float:
        weights = np.where(first, 1 / len(a), -1 / len(b))
        return float(-weights @ distances @ weights)

    labels = np.arange(len(both)) < len(a)
    observed = energy(labels)
    exceeding = sum(energy(rng.permutation(labels)) >= observed for _ in range(num_permutations))
    return (1 + exceeding) / (1 + num_permutations)
