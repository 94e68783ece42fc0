"""A person's arrays: what is missing by which mark, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from support.cases import for_all, num_cases
from support.own_images import random_observed, random_values, refused

from ldmiss.errors import InputError
from ldmiss.files.images import read_images

DTYPES = (
    "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32", "float64",
)  # fmt: skip
NHWC = (4, 9, 11, 3)


@pytest.mark.parametrize("dtype", [*DTYPES, ">u2", ">f4", ">i8"])
@pytest.mark.parametrize("shape", [(4, 9, 11), (4, 9, 11, 1), NHWC, (2, 8, 8, 13)])
@pytest.mark.parametrize("name", ["x.npz", "x.NPY"])
def test_every_dtype_and_layout_is_read_bit_for_bit(
    name: str, shape: tuple[int, ...], dtype: str, tmp_path: Path
) -> None:
    """Channels come first, the rest is as in the file, whatever its byte order and order of axes in memory."""
    values = np.asfortranarray(random_values(shape, dtype))
    with (tmp_path / name).open("wb") as file:
        np.save(file, values) if name.endswith("NPY") else np.savez(file, pictures=values)
    images = read_images(tmp_path / name)
    expected = values[:, None] if values.ndim == 3 else np.moveaxis(values, 3, 1)
    assert images.values.dtype == np.dtype(dtype).newbyteorder("=")
    assert images.values.tobytes() == expected.astype(images.values.dtype).tobytes()
    assert images.observed.all()
    assert images.observed.shape == expected.shape
    assert images.names is None
    assert images.layout.channels_last == (values.ndim == 4)


@num_cases(fast=20, slow=300)
def test_missing_is_what_any_mark_says(num_cases: int, tmp_path: Path) -> None:
    """NaN, missing_value and a mask of either polarity, dtype and number of channels, alone and together."""

    def check(seed: int, nan: bool, missing_value: float | None, mask: str | None, channels: int, dtype: str) -> None:
        rng = np.random.default_rng(seed)
        values = rng.integers(0, 5, NHWC).astype(np.float32)
        expected = np.ones(NHWC, bool)
        if nan:
            expected &= random_observed(NHWC, seed)
            values[~expected] = np.nan
        if missing_value is not None:
            expected &= values != missing_value
        arrays: dict[str, Any] = {"images": values}
        if mask is not None:
            known = random_observed((*NHWC[:3], channels), seed + 1)
            expected &= known
            high = np.asarray(rng.integers(1, 2 if dtype == "bool" else 100)).astype(dtype)
            arrays["mask"] = np.where(known == (mask == "observed"), high, np.zeros_like(high))
            if channels == 1 and seed % 2:
                arrays["mask"] = arrays["mask"][..., 0]
        np.savez_compressed(tmp_path / "x.npz", **arrays)
        images = read_images(tmp_path / "x.npz", missing_value=missing_value, mask=mask)
        assert np.array_equal(images.observed, np.moveaxis(expected, 3, 1))
        assert np.array_equal(images.values, np.moveaxis(values, 3, 1), equal_nan=True)

    for_all(
        num_cases, check, seed=st.integers(0, 1000), nan=st.booleans(), missing_value=st.sampled_from([None, 0, 3.0]),
        mask=st.sampled_from([None, "observed", "missing"]), channels=st.sampled_from([1, 3]),
        dtype=st.sampled_from(["bool", "uint8", "int64", "float32"]),
    )  # fmt: skip


def test_values_at_missing_pixels_are_never_judged(tmp_path: Path) -> None:
    """Infinity, huge values and NaN are refused where observed only; they are read as they are."""
    values = random_values((3, 9, 11), "float64")
    known = random_observed(values.shape)
    for poison in (np.inf, -np.inf, 1e300, np.nan):
        poisoned = np.where(known, values, poison)
        np.savez(tmp_path / "x.npz", images=poisoned, mask=known)
        images = read_images(tmp_path / "x.npz", mask="observed")
        assert images.values.tobytes() == poisoned.tobytes()
        assert np.array_equal(images.observed[:, 0], known)


def test_a_missing_value_is_compared_in_the_dtype_of_the_images(tmp_path: Path) -> None:
    """1e20 as a float32 is not the float64 of that name, and -32768 is the int16."""
    for dtype, mark in (("float32", 1e20), ("float16", -9999), ("int16", -32768), ("int64", -(2**63)), ("uint8", 0.0)):
        values = np.arange(2 * 9 * 11).reshape(2, 9, 11).astype(dtype) % 100 + 1
        values[1, 2, 3] = mark
        np.save(tmp_path / "x.npy", values)
        images = read_images(tmp_path / "x.npy", missing_value=mark)
        assert np.argwhere(~images.observed).tolist() == [[1, 0, 2, 3]]


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((9, 11)), "images of shape (9, 11)"),
        (np.zeros((9, 11, 3)), "images of shape (9, 11, 3)"),
        (np.zeros((5, 3, 9, 11)), "channels last"),
        (np.zeros((5, 7, 9)), "at least 8"),
        (np.zeros((0, 9, 11)), "images of shape (0, 9, 11)"),
        (np.zeros((5, 9, 11, 0)), "images of shape (5, 9, 11, 0)"),
        (np.float64(3), "images of shape ()"),
        (np.zeros((5, 9, 11), bool), "dtype bool"),
        (np.zeros((5, 9, 11), complex), "dtype complex128"),
        (np.zeros((5, 9, 11), "longdouble"), "64 bits"),
        (np.zeros((5, 9, 11), "datetime64[s]"), "dtype datetime64[s]"),
        (np.full((5, 9, 11), "a"), "dtype <U1"),
        (np.zeros((5, 9, 11), "u1,f4"), "dtype [("),
        (np.full((5, 9, 11), None, object), "without pickles"),
    ],
)
def test_other_arrays_are_refused(array: Any, words: str, tmp_path: Path) -> None:
    """Shapes that are no images, small ones, channels first, and dtypes that are no numbers."""
    np.save(tmp_path / "x.npy", array)
    assert words in refused(tmp_path / "x.npy")


def test_values_that_are_none_are_refused_where_observed(tmp_path: Path) -> None:
    """The first image is named, and how many there are."""
    values = random_values((5, 9, 11), "float64")
    values[3, :2, 0] = np.inf, -np.inf
    np.save(tmp_path / "x.npy", values)
    message = refused(tmp_path / "x.npy")
    assert "infinite values at 2 observed places, the first in image 3; inf is no value; allowed" in message
    values[3] = 1e39
    np.save(tmp_path / "x.npy", values)
    assert "too large at 99 observed places, the first in image 3" in refused(tmp_path / "x.npy")
    assert read_images(tmp_path / "x.npy", missing_value=1e39).observed.sum() == 4 * 99
    np.save(tmp_path / "x.npy", np.where(values > 1, 2**53 + 1, 0))
    assert "too large" in refused(tmp_path / "x.npy")
    np.save(tmp_path / "x.npy", np.where(values > 1, 2**53 + 1, 0).astype("uint64"))
    assert "too large" in refused(tmp_path / "x.npy")


def test_channels_with_nothing_to_learn_are_refused(tmp_path: Path) -> None:
    """Nothing observed, most often a mask the wrong way round, or one value only."""
    values = random_values(NHWC, "float32")
    values[..., 1] = np.nan
    np.save(tmp_path / "x.npy", values)
    assert "channel 1: nothing is observed" in refused(tmp_path / "x.npy")
    values[..., 1] = 7
    np.save(tmp_path / "x.npy", values)
    assert "channel 1: all observed values are 7.0" in refused(tmp_path / "x.npy")
    np.savez(tmp_path / "x.npz", images=values[..., 0], mask=np.ones(NHWC[:3], bool))
    assert "mask the right way round" in refused(tmp_path / "x.npz", mask="missing")


def test_masks_that_say_nothing_clear_are_refused(tmp_path: Path) -> None:
    """No polarity, no masks, soft ones, ones of another shape or kind."""
    path = tmp_path / "x.npz"
    values = random_values((4, 9, 11), "uint8")
    mask = random_observed(values.shape).astype(np.uint8)
    np.savez(path, images=values, mask=mask)
    assert "masks, but no word on what they mean" in refused(path)
    assert "observed, missing" in refused(path, names="mask", mask="true")
    for wrong, words in (
        (mask * 2 + (values > 9), "masks of the values 0, "),
        (np.where(mask, np.nan, 0), "masks of the values 0, nan"),
        (mask[:3], "masks 3x1x9x11 for images 4x1x9x11"),
        (mask[..., None].repeat(3, 3), "masks 4x3x9x11"),
        (mask[0], "mask of shape (9, 11)"),
        (mask.astype("U1"), "dtype <U1"),
    ):
        np.savez(path, images=values, mask=wrong)
        assert words in refused(path, mask="observed")
    np.savez(path, images=values)
    assert "no masks, but mask is 'missing'" in refused(path, mask="missing")


def test_missing_values_that_cannot_be_or_are_not_there_are_refused(tmp_path: Path) -> None:
    """A slip in the number would make every fill value a true one."""
    np.save(tmp_path / "x.npy", np.arange(2 * 99, dtype=np.uint8).reshape(2, 9, 11))
    for wrong in (-1, 256, 0.5):
        assert f"{wrong} is no uint8" in refused(tmp_path / "x.npy", names="missing_value", missing_value=wrong)
    assert "255 is nowhere" in refused(tmp_path / "x.npy", names="missing_value", missing_value=255)
    for wrong in (np.nan, np.inf, True, "0"):
        assert "a finite number" in refused(tmp_path / "x.npy", names="missing_value", missing_value=wrong)
    np.save(tmp_path / "x.npy", np.arange(2 * 99, dtype=np.float16).reshape(2, 9, 11))
    assert "is no float16" in refused(tmp_path / "x.npy", names="missing_value", missing_value=1e20)


def test_an_npz_says_which_array_is_meant(tmp_path: Path) -> None:
    """`images` wins over others; without it there is one array beside the mask."""
    path = tmp_path / "x.npz"
    values = random_values((4, 9, 11), "uint8")
    np.savez(path, labels=np.zeros(4), images=values)
    assert np.array_equal(read_images(path).values[:, 0], values)
    np.savez(path, a=values, b=values)
    assert "['a', 'b']" in refused(path)
    np.savez(path, mask=values)
    assert "the arrays []" in refused(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    """Suffixes that are not read, a missing file, and single images."""
    for name in ("x.nc", "x.png", "x"):
        (tmp_path / name).write_bytes(b"")
        assert "a folder of images" in refused(tmp_path / name)
    assert "missing file" in refused(tmp_path / "no.npz")


def test_a_flipped_byte_or_a_cut_of_an_npz_is_one_line(tmp_path: Path) -> None:
    """What damage is not refused has changed nothing."""
    path = tmp_path / "x.npz"
    values = random_values((2, 8, 9), "float32")
    np.savez_compressed(path, images=values)
    content = path.read_bytes()
    num_refused = 0
    for offset in range(0, len(content), 5):
        path.write_bytes(content[:offset] + bytes([content[offset] ^ 0x55]) + content[offset + 1 :])
        try:
            assert read_images(path).values.tobytes() == values.tobytes()
        except InputError:
            num_refused += 1
        path.write_bytes(content[:offset])
        refused(path)
    assert num_refused > len(content) / 10


@pytest.mark.parametrize("name", ["masks", "observed", "is_missing"])
def test_masks_by_another_name_are_refused(name: str, tmp_path: Path) -> None:
    """They would be lost without a word, and every hole be taken for a value."""
    np.savez(tmp_path / "x.npz", **{"images": np.arange(192).reshape(2, 8, 12), name: np.ones((2, 8, 12), bool)})
    with pytest.raises(InputError, match=f"'{name}' beside images; allowed: masks by the name mask"):
        read_images(tmp_path / "x.npz")
