"""Is a realised missing rate the one that was asked for? Neither chance nor rounding is taken for another rate."""

import numpy as np
import pytest

from ldmiss.core.randomness import numpy_generator
from ldmiss.missingness.mechanisms import draw_observed
from ldmiss.missingness.rates import is_off, missing_share

IMAGES = np.zeros((300, 28, 28), dtype=np.uint8)


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.1, 0.5, 0.8, 0.99])
@pytest.mark.parametrize("num_images", [1, 2, 300])
def test_mcar_is_as_asked(rate: float, num_images: int) -> None:
    """Whatever the rate and the number of images, 20 draws each."""
    for seed in range(20):
        assert not is_off(draw_observed("mcar", IMAGES[:num_images], rate, numpy_generator(seed)), rate)


def test_whole_images_and_rounding_are_no_other_rate() -> None:
    """Images missing as a whole vary far more than pixels do; 0.3 of 784 pixels is 235.2, in every image."""
    whole = np.broadcast_to(numpy_generator(0).random((300, 1, 1)) >= 0.5, IMAGES.shape)
    assert abs(missing_share(whole) - 0.5) > 4 * 0.5 / IMAGES.size**0.5
    assert not is_off(whole, 0.5)
    rounded = np.ones((60_000, 28, 28), dtype=bool)
    rounded.reshape(60_000, -1)[:, :235] = False
    assert not is_off(rounded, 0.3)


@pytest.mark.parametrize("share", [0.49, 0.51, 0.375])
def test_another_rate_is_off(share: float) -> None:
    """A hundredth too many or too few in 300 images is no chance."""
    assert is_off(draw_observed("mcar", IMAGES, share, numpy_generator(0)), 0.5)
