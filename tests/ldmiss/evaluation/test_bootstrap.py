"""Standard errors over a bootstrap of images."""

import numpy as np
import pytest
import torch

from ldmiss.classifier.frechet import fid, fid_statistics
from ldmiss.core.randomness import numpy_generator
from ldmiss.evaluation.bootstrap import (
    fid_se,
    frechet_distances,
    inception_score_se,
    inception_scores,
    ratio_se,
    resample_weights,
)
from ldmiss.evaluation.fidelity import inception_score
from ldmiss.evaluation.pixel import errors_by_image

RNG = numpy_generator(0, "test bootstrap")
MIX = RNG.normal(size=(6, 6))
FEATURES = RNG.normal(size=(300, 6)) @ MIX
REFERENCE = 0.3 + RNG.normal(size=(400, 6))


def dead(features: np.ndarray) -> np.ndarray:
    """Rectified, with two features that are always 0."""
    return np.concatenate([np.maximum(features, 0), np.zeros((len(features), 2))], axis=1)


def statistics(features: np.ndarray) -> dict[str, np.ndarray]:
    return fid_statistics(torch.from_numpy(features))


def test_resample_weights() -> None:
    """Each row draws as many images as there are; the same generator gives the same; about 1/e are left out."""
    weights = resample_weights(1000, 20, numpy_generator(1))
    assert weights.shape == (20, 1000)
    assert (weights.sum(axis=1) == 1000).all()
    assert np.array_equal(weights, resample_weights(1000, 20, numpy_generator(1)))
    assert not np.array_equal(weights[0], weights[1])
    assert (weights == 0).mean() == pytest.approx(np.exp(-1), abs=0.02)


@pytest.mark.parametrize("make", [lambda x: x, dead], ids=["full rank", "dead features"])
def test_fid_of_weights(make: object) -> None:
    """Unit weights: `fidelity.fid`. Other weights: that of the images repeated as often."""
    features, reference = make(FEATURES), statistics(make(REFERENCE))  # type: ignore[operator]
    weights = np.concatenate([np.ones((1, 300)), resample_weights(300, 3, numpy_generator(2))])
    found = frechet_distances(features, weights, reference)
    expected = [fid(statistics(np.repeat(features, row.astype(int), axis=0)), reference) for row in weights]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_inception_score_of_weights() -> None:
    """As above; a class that no image can be has a probability of 0 and is no NaN."""
    logits = 3 * RNG.normal(size=(300, 10))
    logits[:, 9] = -2000.0
    weights = np.concatenate([np.ones((1, 300)), resample_weights(300, 3, numpy_generator(3))])
    expected = [inception_score(torch.from_numpy(np.repeat(logits[:, :9], row.astype(int), axis=0))) for row in weights]
    np.testing.assert_allclose(inception_scores(logits, weights), expected, rtol=1e-6)


def test_standard_error_of_a_mean() -> None:
    """sd / sqrt(N), within four times the 5 % that 200 resamples leave."""
    values = RNG.normal(size=900)
    found = ratio_se(values, np.ones(900), resample_weights(900, 200, numpy_generator(4)))
    assert found == pytest.approx(values.std() / 30, rel=0.2)


def test_standard_error_of_an_mse() -> None:
    """The error of a ratio of sums by image is that of resampling images and measuring again."""
    truth, x_hat = RNG.random((50, 4, 4), dtype=np.float32), RNG.random((50, 4, 4), dtype=np.float32)
    observed = RNG.random((50, 4, 4)) < RNG.random((50, 1, 1))  # a rate of its own for each image
    squares, counts = errors_by_image(x_hat, truth, ~observed)
    weights = resample_weights(50, 30, numpy_generator(5))
    chosen = [np.repeat(np.arange(50), row.astype(int)) for row in weights]
    again = [((x_hat - truth)[rows][~observed[rows]] ** 2).mean() for rows in chosen]
    assert ratio_se(squares, counts, weights) == pytest.approx(np.std(again, ddof=1), rel=1e-5)


def test_standard_errors_of_fid_and_is_are_those_over_fresh_sets() -> None:
    """What a bootstrap estimates: the spread over independent sets of images from the same law."""
    rng = numpy_generator(6)
    reference = statistics(rng.normal(size=(500, 3)))
    sets = [1.0 + rng.normal(size=(400, 3)) for _ in range(100)]
    weights = resample_weights(400, 100, rng)
    over_sets = np.std([fid(statistics(features), reference) for features in sets], ddof=1)
    assert fid_se(sets[0], weights, reference) == pytest.approx(over_sets, rel=0.35)
    over_sets = np.std([inception_score(torch.from_numpy(features)) for features in sets], ddof=1)
    assert inception_score_se(sets[0], weights) == pytest.approx(over_sets, rel=0.35)
