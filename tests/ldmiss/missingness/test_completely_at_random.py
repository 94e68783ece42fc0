"""Missing completely at random: independent of the images; each pixel by itself, or each line."""

import hashlib

import numpy as np
import pytest

from ldmiss.core.randomness import numpy_generator
from ldmiss.missingness.mechanisms import draw_observed

IMAGES = np.full((200, 1, 28, 28), 7, dtype=np.uint8)


@pytest.mark.parametrize(
    ("rate", "digest"), [(0.1, "a375aa2d29cbde56"), (0.5, "94d7e212ed9b05be"), (0.8, "eff0e094376f3ea2")]
)
def test_mcar_draws_the_numbers_of_old(rate: float, digest: str) -> None:
    """Recorded when images were (N, H, W): models trained on MNIST stay what they are."""
    observed = draw_observed("mcar", np.zeros((5, 1, 9, 11), np.uint8), rate, numpy_generator(42, "observed"))
    assert hashlib.sha256(np.packbits(observed).tobytes()).hexdigest().startswith(digest)


def test_mcar_is_spread_evenly() -> None:
    """Every pixel position is missing equally often: the share over 200 images, 5 standard errors of each."""
    missing = ~draw_observed("mcar", IMAGES, 0.5, numpy_generator(1))
    assert np.abs(missing.mean(0) - 0.5).max() < 5 * 0.5 / 200**0.5


@pytest.mark.parametrize("mechanism", ["mcar", "rows", "columns", "block"])
def test_mcar_ignores_the_images(mechanism: str) -> None:
    """Completely at random: the same indicators whatever the pixels are. So are lines and blocks."""
    black = np.zeros_like(IMAGES)
    masks = [draw_observed(mechanism, images, 0.5, numpy_generator(4)) for images in (IMAGES, black)]
    assert (masks[0] == masks[1]).all()


@pytest.mark.parametrize(("mechanism", "along"), [("rows", 3), ("columns", 2)])
def test_lines_are_missing_as_a_whole_and_independently(mechanism: str, along: int) -> None:
    """Each line is all or nothing; how many of an image's 28 are missing is binomial: mean and variance.

    Within 5 standard errors; the variance of the sample variance of a near-normal number is 2 variance^2 / N.
    """
    images = np.zeros((2000, 2, 28, 28), np.uint8)
    missing = ~draw_observed(mechanism, images, 0.3, numpy_generator(2))
    assert (missing.all(axis=along) == missing.any(axis=along)).all()
    lines = missing.any(axis=along)[:, 0]
    assert np.abs(lines.mean(0) - 0.3).max() < 5 * (0.21 / 2000) ** 0.5
    assert lines.sum(axis=1).var() == pytest.approx(28 * 0.21, rel=5 * (2 / 2000) ** 0.5)
