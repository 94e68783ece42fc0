"""What a person is told of their images before anything is trained."""

import numpy as np

from ldmiss.files.incomplete import IncompleteImages, Layout, summary, warnings


def images(number: int = 8, channels: int = 1, names: list[str] | None = None) -> IncompleteImages:
    """Nothing to say of them: all pixels are observed in some image, and some are not in others."""
    shape = (number, channels, 8, 9)
    observed = np.ones(shape, bool)
    observed[:, :, 0, 0] = np.arange(number)[:, None] > 0
    return IncompleteImages(np.arange(observed.size, dtype=np.float32).reshape(shape), observed, Layout(False, names))


def test_the_summary() -> None:
    """Number, size, channels, dtype, and the share that is missing."""
    assert summary(images(2, 3)) == "2 images of 8 x 9, 3 channels, float32; 0.7% of the values missing"
    assert summary(images(1)) == "1 image of 8 x 9, 1 channel, float32; 1.4% of the values missing"


def test_nothing_is_said_of_good_images() -> None:
    assert warnings(images()) == []
    assert warnings(images(8, 3)) == []


def test_empty_images_are_listed_by_name_or_number() -> None:
    """At most five of them."""
    some = images()
    some.observed[[2, 5]] = False
    assert warnings(some) == ["without any observed value, so their completions are mere samples: 2 of 8 images (2, 5)"]
    named = images(names=list("abcdefgh"))
    named.observed[1:7] = False
    (line,) = warnings(named)
    assert line.endswith("6 of 8 images (b, c, d, e, f, ...)")


def test_pixels_observed_nowhere_are_counted() -> None:
    some = images()
    some.observed[:, 0, 3, 4:6] = False
    (line,) = warnings(some)
    assert line.startswith("2 of 72 values of an image are observed in none (the first in row 3, column 4, ")


def test_pixels_observed_in_some_channels_are_counted() -> None:
    some = images(8, 3)
    some.observed[3, 1, 2, 2:5] = False
    (line,) = warnings(some)
    assert line.startswith("3 pixels are observed in some of their channels only")


def test_constant_images_are_listed() -> None:
    """Judged by what is observed, and not if that is one value only or none."""
    some = images()
    some.values[3] = 7
    some.values[3, 0, 1, 1] = np.nan
    some.observed[3, 0, 1, 1] = False
    some.observed[4] = False
    some.observed[4, 0, 0, 0] = True
    assert warnings(some) == ["with one and the same value at all observed places: 1 of 8 images (3)"]


def test_one_image_and_nothing_missing_are_said() -> None:
    lone = images(1)
    lone.observed[:] = True
    first, second = warnings(lone)
    assert first.startswith("a single image")
    assert second.startswith("nothing is missing")
