"""Is a realised missing rate the one that was asked for? Neither chance nor rounding is taken for another rate."""

import numpy as np
import pytest
from support.image_sets import SETS, complete, smooth

from ldmiss.core.randomness import numpy_generator
from ldmiss.missingness.mechanisms import MECHANISMS, draw_observed
from ldmiss.missingness.rates import is_off, missing_share

IMAGES, ALL = complete((smooth(300, 1, 28, 28) * 255).astype(np.uint8))


@pytest.mark.parametrize("mechanism", [name for name in MECHANISMS if name != "borrowed"])
@pytest.mark.parametrize("num_images", [1, 2, 25, 300])
def test_no_mechanism_is_off(mechanism: str, num_images: int) -> None:
    """Whatever the rate and the number of images, 10 draws each; pixels of an image may miss together."""
    for rate in (0.0, 0.01, 0.1, 0.5, 0.8, 0.93):
        for seed in range(10):
            assert not is_off(draw_observed(mechanism, IMAGES[:num_images], rate, numpy_generator(seed)), rate)


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("rate", [0.01, 0.1])
def test_no_mechanism_is_off_where_not_all_is_known(mechanism: str, rate: float) -> None:
    """Of the known pixels, many images: 100 draws each."""
    images, known = (np.concatenate([part] * 10) for part in SETS["holed"])
    for seed in range(100):
        assert not is_off(draw_observed(mechanism, images, rate, numpy_generator(seed), known), rate, known)


def test_whole_images_and_rounding_are_no_other_rate() -> None:
    """Images missing as a whole vary far more than pixels do; 0.3 of 784 pixels is 235.2, in every image."""
    whole = np.broadcast_to(numpy_generator(0).random((300, 1, 1, 1)) >= 0.5, IMAGES.shape)
    assert abs(missing_share(whole) - 0.5) > 4 * 0.5 / IMAGES.size**0.5
    assert not is_off(whole, 0.5)
    rounded = np.ones((60_000, 1, 28, 28), dtype=bool)
    rounded.reshape(60_000, -1)[:, :235] = False
    assert not is_off(rounded, 0.3)


@pytest.mark.parametrize("share", [0.49, 0.51, 0.375])
def test_another_rate_is_off(share: float) -> None:
    """A hundredth too many or too few in 300 images is no chance."""
    assert is_off(draw_observed("mcar", IMAGES, share, numpy_generator(0)), 0.5)


@pytest.mark.parametrize("mechanism", ["rows", "columns", "block"])
def test_another_rate_of_pixels_that_miss_together_is_off(mechanism: str) -> None:
    """A tenth too many in 300 images."""
    assert is_off(draw_observed(mechanism, IMAGES, 0.6, numpy_generator(0)), 0.5)


@pytest.mark.parametrize(("rate", "keep"), [(0.5, True), (0.5, False), (0.1, True), (0.9, False)])
def test_nothing_or_everything_missing_is_off(rate: float, keep: bool) -> None:
    """However little images differ."""
    assert is_off(np.full(IMAGES.shape, keep), rate)


def test_nothing_may_be_missing_at_rate_0() -> None:
    """One pixel of 235,200 is too much."""
    observed = ALL.copy()
    assert not is_off(observed, 0.0)
    observed[0, 0, 0, 0] = False
    assert is_off(observed, 0.0)


def test_a_rate_is_a_share_of_what_is_known() -> None:
    """Half of the known half is a quarter of all, and not off; a quarter is not what was asked for."""
    known = np.broadcast_to(np.arange(28) < 14, IMAGES.shape)
    observed = draw_observed("mcar", IMAGES, 0.5, numpy_generator(0), known)
    assert missing_share(observed, known) == pytest.approx(0.5, abs=0.01)
    assert missing_share(observed) == pytest.approx(0.75, abs=0.005)
    assert not is_off(observed, 0.5, known)
    assert is_off(observed, 0.25, known)
