"""`mar` and `mnar` follow their law: the log-odds of missing are a straight line in how bright image or pixel is."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.image_sets import SETS, smooth

from ldmiss.core.randomness import numpy_generator
from ldmiss.errors import InputError
from ldmiss.missingness.logistic import ANCHORS, mar, mnar
from ldmiss.missingness.mechanisms import draw_observed
from ldmiss.missingness.rates import missing_share

NUM_DRAWS = 300
SLOPES = [0.5, 2.0]


def anchors(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Bool (H, W), spelled out: row and column 2, 6, 10 ..."""
    return np.array([[y % 4 == 2 and x % 4 == 2 for x in range(shape[-1])] for y in range(shape[-2])])


def standardised(values: NDArray[Any]) -> NDArray[np.float64]:
    """To mean 0 and standard deviation 1 over all of them."""
    return (values - values.mean()) / values.std()


def follows_the_law(missing: NDArray[Any], trials: NDArray[Any], z: NDArray[Any], slope: float) -> None:
    """The log-odds of missing, minus slope * z, are one number for all groups: 4.5 of their standard errors.

    Args:
        missing, trials: how many pixels of each group are missing, of how many.
        z: of each group.
    """
    share = missing / trials
    intercepts = np.log(share / (1 - share)) - slope * z
    variance = 1 / (trials * share * (1 - share))
    mean = np.average(intercepts, weights=1 / variance)
    assert np.ptp(slope * z) > 1, "the groups are too alike to see a slope"
    assert np.abs((intercepts - mean) / np.sqrt(variance)).max() < 4.5


@pytest.mark.parametrize("slope", SLOPES)
def test_mar_is_logistic_in_the_mean_of_the_anchors(slope: float) -> None:
    """The share missing of each of 60 images over 300 draws."""
    images, known = SETS["grey"]
    free = ~anchors(images.shape)
    z = standardised(images[:, 0, ~free].mean(axis=1))
    rng = numpy_generator(0)
    missing = sum(~mar(images, known, 0.4, rng, slope=slope)[:, 0, free] for _ in range(NUM_DRAWS))
    follows_the_law(np.sum(missing, axis=1), np.full(60, NUM_DRAWS * free.sum()), z, slope)


@pytest.mark.parametrize("name", SETS)
def test_mar_never_hides_an_anchor_and_sees_nothing_else(name: str) -> None:
    """Other values at all other pixels: the same indicators. Another value of anchors: others."""
    images, known = SETS[name]
    at_anchors = np.broadcast_to(anchors(images.shape), images.shape)
    keep = mar(images, known, 0.5, numpy_generator(1))
    assert keep[at_anchors].all()
    assert not keep[~at_anchors].all()
    other = np.where(at_anchors, images, images[::-1] // 2)
    assert (mar(other, known, 0.5, numpy_generator(1)) == keep).all()
    spoilt = images.copy()
    spoilt[:10][ANCHORS] = 0
    assert (mar(spoilt, known, 0.5, numpy_generator(1)) != keep).any()


def test_mar_reaches_what_the_anchors_leave() -> None:
    """6 of 88 pixels are anchors: 93 % can be missing, 94 % are refused with the number that can be."""
    images, known = SETS["grey"]
    assert mar(images, known, 0.93, numpy_generator(0)).mean() == pytest.approx(0.07, abs=0.005)
    with pytest.raises(InputError, match=r"missing rate: 0.94 with mechanism mar; allowed: below 0.9318"):
        draw_observed("mar", images, 0.94, numpy_generator(0))


def test_mar_without_any_anchor_known_is_of_average_brightness() -> None:
    """Of 20 such images as many pixels are missing as the law has at z = 0."""
    images, known = SETS["grey"]
    blind = (np.arange(60) < 20)[:, None, None, None] & anchors(images.shape)
    known = known & ~blind
    z = standardised(images[20:, 0, anchors(images.shape)].mean(axis=1))
    free = ~anchors(images.shape)
    rng = numpy_generator(2)
    missing = sum(~mar(images, known, 0.4, rng, slope=2.0)[:, 0, free] for _ in range(NUM_DRAWS))
    follows_the_law(
        np.sum(missing, axis=1), np.full(60, NUM_DRAWS * free.sum()), np.concatenate([np.zeros(20), z]), 2.0
    )


@pytest.mark.parametrize("slope", SLOPES)
def test_mnar_is_logistic_in_the_pixels_own_value(slope: float) -> None:
    """The share missing of the pixels of each of 8 grey levels over 300 draws: bright ones more often."""
    levels = np.random.default_rng(0).integers(0, 8, (40, 1, 9, 12)).astype(np.uint8) * 30
    z = standardised(levels)
    known = np.ones(levels.shape, dtype=bool)
    rng = numpy_generator(3)
    missing = sum((~mnar(levels, known, 0.4, rng, slope=slope)).astype(int) for _ in range(NUM_DRAWS))
    groups = [levels == level for level in np.unique(levels)]
    counts = np.array([group.sum() * NUM_DRAWS for group in groups])
    hidden = np.array([missing[group].sum() for group in groups])
    follows_the_law(hidden, counts, np.array([z[group][0] for group in groups]), slope)
    assert (np.diff(hidden / counts) > 0).all()


def test_mnar_of_colour_takes_the_mean_of_standardised_channels() -> None:
    """Pixels in ten groups by that mean; two bright channels of one unit do not drown one of another."""
    images = smooth(40, 3, 9, 12) * np.array([1.0, 5000.0, 0.01])[:, None, None]
    known = np.ones(images.shape, dtype=bool)
    z = np.mean([standardised(images[:, channel]) for channel in range(3)], axis=0)
    rng = numpy_generator(4)
    missing = sum((~mnar(images, known, 0.4, rng, slope=2.0)[:, 0]).astype(int) for _ in range(NUM_DRAWS))
    order = np.argsort(z, axis=None).reshape(-1, 9)  # groups of 9 pixels, narrow enough for one z
    follows_the_law(
        missing.ravel()[order].sum(axis=1), np.full(len(order), 9 * NUM_DRAWS), z.ravel()[order].mean(axis=1), 2.0
    )


@pytest.mark.parametrize("mechanism", ["mar", "mnar"])
def test_images_of_one_value_miss_as_completely_at_random(mechanism: str) -> None:
    """Nothing to tell them apart by, so nothing is divided by 0; a single image and the steepest slope, too."""
    images = np.full((1, 2, 30, 30), 3.5)
    observed = draw_observed(mechanism, images, 0.5, numpy_generator(0), settings={"slope": 1000})
    assert observed.mean() == pytest.approx(0.5, abs=5 * 0.5 / 30)


@pytest.mark.parametrize("mechanism", ["mar", "mnar"])
@pytest.mark.parametrize("slope", [1e-9, 1.0, 1000.0])
@pytest.mark.parametrize("name", SETS)
def test_the_intercept_is_found_for_any_slope_and_rate(mechanism: str, slope: float, name: str) -> None:
    """From hardly any pixel to nearly all, with numbers of 32 bits: 5 standard errors of independent pixels."""
    images, known = SETS[name]
    for rate in (1e-300, 1e-12, 1e-4, 0.5, 0.92, *((1 - 1e-6, 1 - 2**-53) if mechanism == "mnar" else ())):
        observed = draw_observed(mechanism, images, rate, numpy_generator(0), known, {"slope": slope})
        noise = 5 * (rate * (1 - rate) * images.shape[1] / known.sum()) ** 0.5
        assert missing_share(observed, known) == pytest.approx(rate, abs=noise + 1e-6)
