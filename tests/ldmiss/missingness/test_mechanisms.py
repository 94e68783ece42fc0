"""What holds for every mechanism: exact rates, nesting, whole pixels, errors, and that the truth goes no further."""

import itertools
from typing import Any

import numpy as np
import pytest
from support.image_sets import SETS

from ldmiss.core.randomness import numpy_generator
from ldmiss.errors import InputError
from ldmiss.missingness.mechanisms import MECHANISMS, draw_observed, remove_missing
from ldmiss.missingness.rates import missing_share

IMAGES = np.full((200, 1, 28, 28), 7, dtype=np.uint8)
NUM_DRAWS = 150
SETTINGS: list[tuple[str, dict[str, Any]]] = [
    *((mechanism, {}) for mechanism in MECHANISMS),
    ("mar", {"slope": 4.0}), ("mnar", {"slope": 4.0}), ("block", {"num_blocks": 3}),
]  # fmt: skip
RATES = [0.0, 0.05, 0.3, 0.5, 0.8]
MOST_BORROWED = 0.1
"""Of the holed set no more than about 0.12 can be borrowed."""
CASES = [
    (mechanism, settings, rate, name)
    for (mechanism, settings), rate, name in itertools.product(SETTINGS, RATES, SETS)
    if mechanism != "borrowed" or (name == "holed" and rate <= MOST_BORROWED)
]


@pytest.mark.parametrize(("mechanism", "settings", "rate", "name"), CASES)
def test_the_rate_is_exact_in_expectation(mechanism: str, settings: dict[str, Any], rate: float, name: str) -> None:
    """Of the known values a share `rate` is missing: the mean of 150 draws, 4.5 of its standard errors."""
    images, known = SETS[name]
    rng = numpy_generator(0, mechanism)
    shares = [
        missing_share(draw_observed(mechanism, images, rate, rng, known, settings), known) for _ in range(NUM_DRAWS)
    ]
    assert (np.std(shares) > 0) == (rate > 0)
    assert np.mean(shares) == pytest.approx(rate, abs=4.5 * np.std(shares) / NUM_DRAWS**0.5 + 1e-12)


@pytest.mark.parametrize(("mechanism", "settings"), SETTINGS)
def test_nested_across_rates(mechanism: str, settings: dict[str, Any]) -> None:
    """With the same generator, what is missing at a lower rate is missing at every higher one."""
    images, known = SETS["holed"]
    rates = [0.0, 0.02, 0.04, 0.07, 0.1] if mechanism == "borrowed" else [0.0, 0.1, 0.3, 0.5, 0.55, 0.8, 0.9]
    masks = [draw_observed(mechanism, images, rate, numpy_generator(3), known, settings) for rate in rates]
    for lower, higher in itertools.pairwise(masks):
        assert not (higher & ~lower).any()
        assert (lower & ~higher).any()


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_values_that_are_not_known_change_nothing(mechanism: str) -> None:
    """NaN there, infinity, huge values: the same indicators, none of them True where nothing is known."""
    images, known = SETS["holed"]
    draws = [
        draw_observed(mechanism, np.where(known, images, garbage), 0.1, numpy_generator(4), known)
        for garbage in (np.nan, -np.inf, 1e300, 0.0)
    ]
    assert not (draws[0] & ~known).any()
    assert all((draw == draws[0]).all() for draw in draws)


@pytest.mark.parametrize("mechanism", [name for name in MECHANISMS if name != "borrowed"])
def test_whole_pixels_are_missing(mechanism: str) -> None:
    """Of a colour image all channels together."""
    images, _ = SETS["colour"]
    observed = draw_observed(mechanism, images, 0.5, numpy_generator(5))
    assert (observed == observed[:, :1]).all()
    assert (observed.dtype, observed.shape) == (np.bool_, images.shape)
    assert 0 < observed.mean() < 1


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, float("nan")])
def test_bad_rate(rate: float) -> None:
    """A rate outside [0, 1) is refused and named."""
    with pytest.raises(InputError, match=f"{rate} is outside"):
        draw_observed("mcar", IMAGES, rate, numpy_generator(0))


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("mechanism: unknown 'gone'; allowed: mcar, mar, mnar, block, rows", {"mechanism": "gone"}),
    ("missing rate: None with mechanism mcar; allowed: a number", {"rate": None}),
    ("setting of mechanism mcar: unknown 'slope'", {"settings": {"slope": 1.0}}),
    ("setting of mechanism mar: unknown 'num_blocks'; allowed: slope",
     {"mechanism": "mar", "settings": {"num_blocks": 1}}),
    ("slope: 0; allowed: a finite number, above 0, at most 1000", {"mechanism": "mnar", "settings": {"slope": 0}}),
    ("num_blocks: 0; allowed", {"mechanism": "block", "settings": {"num_blocks": 0}}),
    ("known: no pixel of any image is known", {"known": np.zeros(IMAGES.shape, bool)}),
    ("observed: bool (200, 28, 28); allowed: bool (200, 1, 28, 28)", {"known": np.ones((200, 28, 28), bool)}),
    ("images: bool (200, 1, 28, 28); allowed: uint8 or uint16", {"images": IMAGES > 0}),
    ("images: values outside [-1e+150, 1e+150], or NaN at observed pixels", {"images": np.full((2, 1, 8, 8), np.nan)}),
]  # fmt: skip


@pytest.mark.parametrize(("message", "arguments"), REFUSED)
def test_refused_in_one_line(message: str, arguments: dict[str, Any]) -> None:
    """Names the argument, what was wrong and what is allowed; nothing falls through to a default."""
    with pytest.raises(InputError) as refusal:
        draw_observed(**{"mechanism": "mcar", "images": IMAGES, "rate": 0.5, "rng": numpy_generator(0)} | arguments)
    assert str(refusal.value).startswith(message)
    assert "\n" not in str(refusal.value)


def test_indicators_of_another_shape_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a mechanism that somebody adds."""
    monkeypatch.setitem(MECHANISMS, "flat", lambda images, known, rate, rng: np.ones(images.shape[2:], bool))
    with pytest.raises(InputError, match=r"observed: bool \(28, 28\)"):
        draw_observed("flat", IMAGES, 0.5, numpy_generator(0))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_remove_missing(dtype: Any) -> None:
    """0 at missing pixels, even of NaN; the image bit for bit at observed ones, and the argument untouched."""
    images = np.array([[[[1, 2], [3, 255]]]], dtype=dtype)
    if images.dtype.kind == "f":
        images[0, 0, 0, 1] = np.nan
    before = images.tobytes()
    observed = np.array([[[[True, False], [False, True]]]])
    assert remove_missing(images, observed).tolist() == [[[[1, 0], [0, 255]]]]
    assert remove_missing(images, observed).dtype == dtype
    assert images.tobytes() == before
