"""Which pixels are missing: rate, nesting, errors, and that the truth goes no further."""

import itertools

import numpy as np
import pytest

from ldmiss.core.randomness import numpy_generator
from ldmiss.errors import InputError
from ldmiss.missingness.mechanisms import MECHANISMS, draw_observed, remove_missing

IMAGES = np.full((200, 28, 28), 7, dtype=np.uint8)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.8])
def test_rate(rate: float) -> None:
    """A share `rate` of 156,800 pixels is missing (5 standard errors); none at rate 0."""
    observed = draw_observed("mcar", IMAGES, rate, numpy_generator(0))
    assert observed.dtype == np.bool_
    assert observed.shape == IMAGES.shape
    assert (~observed).mean() == pytest.approx(rate, abs=5 * (rate * (1 - rate) / IMAGES.size) ** 0.5)


def test_mcar_is_spread_evenly() -> None:
    """Every pixel position is missing equally often: the share over 200 images, 5 standard errors of each."""
    missing = ~draw_observed("mcar", IMAGES, 0.5, numpy_generator(1))
    assert np.abs(missing.mean(0) - 0.5).max() < 5 * 0.5 / 200**0.5


def test_nested_across_rates() -> None:
    """With the same generator, what is missing at a lower rate is missing at every higher one."""
    rates = [0.0, 0.1, 0.3, 0.5, 0.6, 0.8]
    masks = [draw_observed("mcar", IMAGES, rate, numpy_generator(3)) for rate in rates]
    for lower, higher in itertools.pairwise(masks):
        assert not (higher & ~lower).any()
        assert (lower & ~higher).any()


def test_mcar_ignores_the_images() -> None:
    """Completely at random: the same indicators whatever the pixels are."""
    black = np.zeros_like(IMAGES)
    masks = [draw_observed("mcar", images, 0.5, numpy_generator(4)) for images in (IMAGES, black)]
    assert (masks[0] == masks[1]).all()


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, float("nan")])
def test_bad_rate(rate: float) -> None:
    """A rate outside [0, 1) is refused and named."""
    with pytest.raises(InputError, match=f"{rate} is outside"):
        draw_observed("mcar", IMAGES, rate, numpy_generator(0))


def test_unknown_mechanism() -> None:
    """Refused with the allowed names; nothing falls through to a default."""
    with pytest.raises(InputError, match=r"unknown 'mnar'; allowed: .*mcar"):
        draw_observed("mnar", IMAGES, 0.5, numpy_generator(0))


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_every_mechanism_can_run(mechanism: str) -> None:
    """Indicators of the right type and shape, some missing."""
    observed = draw_observed(mechanism, IMAGES, 0.5, numpy_generator(0))
    assert (observed.dtype, observed.shape) == (np.bool_, IMAGES.shape)
    assert 0 < observed.mean() < 1


def test_remove_missing() -> None:
    """0 at missing pixels, the image bit for bit at observed ones, and the argument untouched."""
    images = np.array([[[1, 2], [3, 255]]], dtype=np.uint8)
    observed = np.array([[[True, False], [False, True]]])
    assert remove_missing(images, observed).tolist() == [[[1, 0], [0, 255]]]
    assert remove_missing(images, observed).dtype == np.uint8
    assert images[0, 0, 1] == 2
