"""Standard errors over a bootstrap of images (Efron 1979): how much a metric hangs on which images were measured.

A resample of N images with replacement is a row of weights, how often each image was drawn. With weights, every metric
of every resample is a few matrix products; nothing is extracted or imputed again. What is held fixed is stated by the
caller: for an FID, the reference images.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def resample_weights(num_images: int, num_resamples: int, rng: np.random.Generator) -> Values:
    """How often each image is in each resample: float64 (num_resamples, num_images), every row sums to num_images."""
    drawn = rng.integers(num_images, size=(num_resamples, num_images))
    return np.stack([np.bincount(row, minlength=num_images) for row in drawn]).astype(np.float64)


def ratio_se(numerators: Values, denominators: Values, weights: Values) -> float | None:
    """Standard error of sum(numerators) / sum(denominators), both (N,) by image; weights (B, N).

    An MSE over the missing pixels of all images is such a ratio: squared errors over numbers of pixels. With
    denominators of 1 it is the standard error of a mean. None where it is not defined: one image, whose resamples are
    all the same, or a resample without denominators.
    """
    totals = weights @ denominators
    if len(numerators) < 2 or not totals.all():
        return None
    return _spread((weights @ numerators) / totals)


def inception_scores(logits: Values, weights: Values) -> Values:
    """Inception Score, one split, of each resample: logits (N, C), weights (B, N) to (B,).

    exp E KL(p(y|x) || p(y)) = exp(E sum_y p log p - sum_y p(y) log p(y)) (Salimans et al. 2016).
    """
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    p = np.exp(log_p)
    shares = weights / weights.sum(axis=1, keepdims=True)
    marginal = shares @ p
    entropy_terms = np.where(marginal > 0, marginal * np.log(np.where(marginal > 0, marginal, 1)), 0)
    scores: Values = np.exp(shares @ (p * log_p).sum(axis=1) - entropy_terms.sum(axis=1))
    return scores


def frechet_distances(features: Values, weights: Values, reference: Mapping[str, Values]) -> Values:
    """FID of each resample against a fixed reference: features (N, F), weights (B, N) to (B,).

    The trace of (S_1 S_2)^(1/2) is taken as that of (R S_1 R)^(1/2) with R = S_2^(1/2), which has the same eigenvalues
    and is symmetric: all real and quick, also where dead features make a covariance singular.

    Args:
        features: of the images that are resampled.
        weights: as from `resample_weights`.
        reference: "mu" (F,) and "sigma" (F, F), as from `ldmiss.classifier.frechet.fid_statistics`.

    Returns:
        The distances. Resamples repeat images, so their mean lies above the distance of the images themselves;
        their spread is what is wanted.
    """
    values, vectors = np.linalg.eigh(reference["sigma"])
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    origin = features.mean(axis=0)
    centred = features - origin  # second moments about a point nearby do not cancel
    distances = []
    for row in weights:
        total = row.sum()
        mean = row @ centred / total
        covariance = (centred.T @ (centred * row[:, None]) - total * np.outer(mean, mean)) / (total - 1)
        eigenvalues = np.linalg.eigvalsh(root @ covariance @ root)
        shift = origin + mean - reference["mu"]
        cross = np.sqrt(np.maximum(eigenvalues, 0)).sum()
        distances.append(shift @ shift + np.trace(covariance) + np.trace(reference["sigma"]) - 2 * cross)
    return np.array(distances)


def inception_score_se(logits: Values, weights: Values) -> float:
    """Standard error of the Inception Score; arguments as `inception_scores`."""
    return _spread(inception_scores(logits, weights))


def fid_se(features: Values, weights: Values, reference: Mapping[str, Values]) -> float:
    """Standard error of the FID, given the reference; arguments as `frechet_distances`."""
    return _spread(frechet_distances(features, weights, reference))


def _spread(values: Values) -> float:
    return float(np.std(values, ddof=1))
