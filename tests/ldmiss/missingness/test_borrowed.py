"""`borrowed`: the whole hole of another image, drawn evenly from those that have one; the rate by who borrows."""

import numpy as np
import pytest
from support.image_sets import SETS

from ldmiss.core.randomness import numpy_generator
from ldmiss.errors import InputError
from ldmiss.missingness.borrowed import known_of_donors
from ldmiss.missingness.mechanisms import draw_observed
from ldmiss.missingness.rates import missing_share

IMAGES, KNOWN = SETS["holed"]
DONORS = range(30)
"""The others are complete, or missing altogether."""


def expected_share() -> float:
    """What is hidden when every image borrows, over all donors that it may have: by enumeration."""
    hidden = sum(
        np.mean([(KNOWN[row] & ~KNOWN[donor]).sum() for donor in DONORS if donor != row]) for row in range(len(KNOWN))
    )
    return float(hidden / KNOWN.sum())


def test_without_a_rate_every_image_has_the_hole_of_another() -> None:
    """Its indicators are those of one donor, not its own, and every donor is drawn as often."""
    assert len({KNOWN[donor].tobytes() for donor in DONORS}) == 30
    donor_of = {KNOWN[donor].tobytes(): donor for donor in DONORS}
    rng = numpy_generator(0)
    taken = []
    for _ in range(100):
        keep = known_of_donors(KNOWN, np.arange(40), rng)
        taken.append([donor_of[one.tobytes()] for one in keep])
    drawn = np.array(taken)
    assert not (drawn == np.arange(40)).any()
    for row in (0, 7, 29, 35):  # evenly: 100 draws from 29 or 30 donors, 5 standard errors of a count
        counts = np.bincount(drawn[:, row], minlength=30)
        assert counts.max() < 100 / 29 + 5 * (100 / 29) ** 0.5
    totals = np.bincount(drawn.ravel(), minlength=30)
    assert np.abs(totals - 4000 / 30).max() < 5 * (4000 / 30) ** 0.5


def test_without_a_rate_as_much_is_hidden_as_holes_hide() -> None:
    """The mean over 300 draws, 4.5 standard errors, against an enumeration of all donors."""
    rng = numpy_generator(1)
    shares = [missing_share(draw_observed("borrowed", IMAGES, None, rng, KNOWN), KNOWN) for _ in range(300)]
    assert np.mean(shares) == pytest.approx(expected_share(), abs=4.5 * np.std(shares) / 300**0.5)


def test_with_a_rate_some_images_borrow_whole_holes() -> None:
    """Those that do have what they have without a rate; the others all they know."""
    rate = expected_share() / 2
    all_borrow, some_borrow = (draw_observed("borrowed", IMAGES, at, numpy_generator(2), KNOWN) for at in (None, rate))
    untouched = (some_borrow == KNOWN).all(axis=(1, 2, 3))
    assert (some_borrow[~untouched] == all_borrow[~untouched]).all()
    assert 10 < untouched.sum() < 32


def test_as_much_as_there_is_can_be_borrowed() -> None:
    """The largest rate has every image borrow; more is refused with the number that can be."""
    most = expected_share()
    nearly = most * (1 - 1e-12)
    everything = draw_observed("borrowed", IMAGES, None, numpy_generator(3), KNOWN)
    assert (draw_observed("borrowed", IMAGES, nearly, numpy_generator(3), KNOWN) == everything).all()
    with pytest.raises(InputError, match=f"missing rate: 0.5 with mechanism borrowed; allowed: at most {most:.4g}"):
        draw_observed("borrowed", IMAGES, 0.5, numpy_generator(3), KNOWN)


@pytest.mark.parametrize("rows", [[], [30], [3]])
def test_no_hole_to_take(rows: list[int]) -> None:
    """No hole anywhere, only an image missing altogether, or a hole in the only image."""
    known = np.ones_like(KNOWN)
    known[rows] = KNOWN[rows]
    images, known = (IMAGES[rows], known[rows]) if rows == [3] else (IMAGES, known)
    with pytest.raises(InputError, match=r"mechanism: borrowed needs another image .* as mcar or block"):
        draw_observed("borrowed", np.where(known, 0.0, images), 0.1, numpy_generator(0), known)


def test_the_only_hole_is_lent_to_all_others() -> None:
    """And its owner keeps what it has."""
    known = np.ones_like(KNOWN)
    known[3] = KNOWN[3]
    observed = draw_observed("borrowed", np.zeros(known.shape), None, numpy_generator(0), known)
    assert (observed == KNOWN[3]).all()
