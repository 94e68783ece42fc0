"""Pixel mean and neighbour average, by hand."""

import numpy as np

from ldmiss.baselines.averages import impute_mean, impute_neighbours
from ldmiss.core.randomness import numpy_generator

NAN = np.float32("nan")


def test_impute_mean() -> None:
    """The mean at missing entries, the rest bit for bit."""
    x = np.array([[0.1, NAN], [NAN, 0.7]], dtype=np.float32)
    completed = impute_mean(x, ~np.isnan(x), np.array([0.25, 0.5]))
    np.testing.assert_array_equal(completed, np.array([[0.1, 0.5], [0.25, 0.7]], dtype=np.float32))


def test_neighbours_by_hand() -> None:
    """Means of the known among the eight neighbours, in waves: what is filled in one counts in the next."""
    image = np.array([[0.0, NAN, NAN, NAN], [0.6, 0.9, NAN, NAN]], dtype=np.float32)[None]
    completed = impute_neighbours(image, ~np.isnan(image))
    first = (0.0 + 0.6 + 0.9) / 3
    second = 0.9  # both pixels of the third column see only the 0.9 in the first wave
    third = second  # the fourth column is filled in the second wave, from the two of the third
    expected = [[[0.0, first, second, third], [0.6, 0.9, second, third]]]
    np.testing.assert_allclose(completed, expected, rtol=1e-6)


def test_neighbours_do_not_cross_images_or_use_missing_values() -> None:
    """Each image on its own; nothing observed stays 0; NaN and garbage at missing pixels change nothing."""
    rng = numpy_generator(0)
    x, observed = rng.random((4, 6, 6), dtype=np.float32), rng.random((4, 6, 6)) < 0.3
    observed[2] = False
    completed = impute_neighbours(np.where(observed, x, NAN), observed)
    np.testing.assert_array_equal(completed, impute_neighbours(np.where(observed, x, 1e9), observed))
    np.testing.assert_array_equal(completed[1:2], impute_neighbours(x[1:2], observed[1:2]))
    assert not completed[2].any()
    assert (completed[observed] == x[observed]).all()
    assert completed.dtype == np.float32
    assert (completed[[0, 1, 3]] > 0).all()  # every pixel was reached
