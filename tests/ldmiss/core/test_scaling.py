"""Values in the data's units, scaled, and back."""

import json

import numpy as np
import pytest

from ldmiss.core.scaling import Scaler
from ldmiss.errors import InputError

SHAPES = [(1, 8, 11), (3, 33, 20), (1, 112, 92), (2, 9, 8)]


def incomplete(shape: tuple[int, ...], *, num: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Values around 1000 c - 5 in channel c, about two thirds observed."""
    rng = np.random.default_rng(seed)
    images = rng.normal(-5, 3, (num, *shape)) + 1000 * np.arange(shape[0])[:, None, None]
    return images, rng.random(images.shape) < 0.7


def fitted(dtype: str, *, num_channels: int = 1) -> Scaler:
    images, observed = incomplete((num_channels, 8, 11))
    return Scaler.fit((images + 50).clip(0).astype(dtype), observed)


def test_uint8_scales_to_the_same_bits_as_a_float32_division() -> None:
    """All 256 values, observed or not."""
    values = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    for observed in (np.zeros(values.shape, bool), np.ones(values.shape, bool)):
        scaled = Scaler.fit(values, observed).to_scaled(values)
        assert scaled.dtype == np.float32
        assert scaled.tobytes() == (values.astype(np.float32) / 255).tobytes()


@pytest.mark.parametrize("shape", SHAPES)
def test_uint8_is_bounded_and_comes_back(shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, *shape)).astype(np.uint8)
    scaler = Scaler.fit(images, np.ones(images.shape, bool))
    assert (np.round(scaler.from_scaled(scaler.to_scaled(images))) == images).all()
    low, high = scaler.scaled_bounds()
    assert low.shape == high.shape == (shape[0], 1, 1)
    assert low.dtype == high.dtype == np.float32
    assert (low == 0).all()
    assert (high == 1).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
def test_floats_get_mean_a_half_and_sd_a_quarter_in_every_channel(shape: tuple[int, ...], dtype: str) -> None:
    images, observed = incomplete(shape)
    scaler = Scaler.fit(images.astype(dtype), observed)
    scaled = scaler.to_scaled(images.astype(dtype))
    for c in range(shape[0]):
        known = scaled[:, c][observed[:, c]]
        assert known.mean() == pytest.approx(0.5, abs=1e-5)
        assert known.std() == pytest.approx(0.25, rel=1e-5)
    np.testing.assert_allclose(scaler.from_scaled(scaled), images, rtol=1e-5, atol=1e-5)
    low, high = scaler.scaled_bounds()
    assert (low == -np.inf).all()
    assert (high == np.inf).all()


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf, 1e300])
def test_values_at_missing_pixels_have_no_influence(poison: float) -> None:
    images, observed = incomplete((2, 8, 11))
    poisoned = np.where(observed, images, poison)
    scaler = Scaler.fit(poisoned, observed)
    assert scaler.to_dict() == Scaler.fit(images, observed).to_dict()
    assert (scaler.to_scaled(poisoned)[observed] == scaler.to_scaled(images)[observed]).all()


def test_uint16_has_the_bounds_of_its_type() -> None:
    scaler = fitted("uint16", num_channels=2)
    assert scaler.bounds == (0, 65535)
    ends = np.stack([np.broadcast_to(end, (2, 8, 8)) for end in scaler.scaled_bounds()])
    np.testing.assert_allclose(scaler.from_scaled(ends)[0], 0, atol=1e-3)
    np.testing.assert_allclose(scaler.from_scaled(ends)[1], 65535, rtol=1e-6)
    inside = scaler.from_scaled(np.full((1, 2, 8, 8), 0.5, np.float32))
    assert inside[:, 0].max() < inside[:, 1].min()  # each channel has its own mean


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
def test_bounds_that_are_given_become_0_and_1(dtype: str) -> None:
    images = np.full((2, 1, 8, 8), 12, dtype)
    scaler = Scaler.fit(images, np.ones(images.shape, bool), bounds=(10, 20))
    assert (scaler.to_scaled(images) == np.float32(0.2)).all()
    low, high = scaler.scaled_bounds()
    assert (low.item(), high.item()) == (0, 1)


@pytest.mark.parametrize("value", [0.1, -1e-300, 0.0, 1e150])
def test_a_constant_channel_comes_back(value: float) -> None:
    images = np.full((3, 1, 8, 8), value)
    scaler = Scaler.fit(images, np.ones(images.shape, bool))
    assert np.isfinite(scaler.to_scaled(images)).all()
    np.testing.assert_allclose(scaler.from_scaled(scaler.to_scaled(images)), images, rtol=1e-6, atol=1e-6)


def test_chunks_of_rows_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    images, observed = incomplete((3, 33, 20), num=9)
    whole = Scaler.fit(images, observed)
    scaled = whole.to_scaled(images)
    monkeypatch.setattr("ldmiss.core.scaling._ROWS_AT_A_TIME", 2)
    chunked = Scaler.fit(images, observed)
    assert chunked.offset == pytest.approx(whole.offset, rel=1e-12)
    assert chunked.scale == pytest.approx(whole.scale, rel=1e-12)
    assert (whole.to_scaled(images) == scaled).all()


def test_draws_have_axes_before_the_channel() -> None:
    scaler = fitted("float64", num_channels=2)
    draws = np.random.default_rng(1).random((3, 4, 2, 8, 11)).astype(np.float16)
    assert scaler.from_scaled(draws).shape == draws.shape
    assert (scaler.from_scaled(draws)[:, 1] == scaler.from_scaled(draws[:, 1])).all()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_json_keeps_every_bit(dtype: str) -> None:
    scaler = fitted(dtype, num_channels=3)
    images, _ = incomplete((3, 8, 11))
    again = Scaler.from_dict(json.loads(json.dumps(scaler.to_dict(), allow_nan=False)))
    assert again.to_dict() == scaler.to_dict()
    assert again.bounds == scaler.bounds
    assert (again.to_scaled(images) == scaler.to_scaled(images)).all()


@pytest.mark.parametrize("bounds", [(1.0, 1.0), (2.0, 1.0), (0.0, float("inf")), (float("nan"), 1.0)])
def test_bounds_must_ascend(bounds: tuple[float, float]) -> None:
    with pytest.raises(InputError, match=r"bounds: .* two finite numbers, the smaller one first"):
        Scaler.fit(np.ones((1, 1, 8, 8)), np.ones((1, 1, 8, 8), bool), bounds)


def test_bad_images_are_refused() -> None:
    images, observed = incomplete((2, 8, 11))
    with pytest.raises(InputError, match="observed: "):
        Scaler.fit(images, observed[:, :1])
    with pytest.raises(InputError, match="images: NaN or infinite"):
        Scaler.fit(np.where(observed, np.inf, images), observed)
    with pytest.raises(InputError, match="observed values lie outside 0 to 1"):
        Scaler.fit(images, observed, bounds=(0, 1))
    with pytest.raises(InputError, match="squares no float64 holds"):
        Scaler.fit(np.array([-1e200, 1e200]).repeat(32).reshape(1, 1, 8, 8), np.ones((1, 1, 8, 8), bool))
