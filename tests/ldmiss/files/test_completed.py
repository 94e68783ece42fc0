"""Completed images come back in the form of the files, and observed values bit for bit."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.own_images import random_observed, random_values, save_image

from ldmiss.errors import InputError
from ldmiss.files.completed import Completed, complete_images, paste_into, write_folder, write_npz
from ldmiss.files.images import read_images
from ldmiss.files.incomplete import IncompleteImages, Layout

SHAPE = (4, 3, 9, 11)
DTYPES = (
    "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32", "float64",
)  # fmt: skip


def incomplete(dtype: str = "uint8", *, channels_last: bool = True) -> IncompleteImages:
    shape = SHAPE if channels_last else (4, 1, 9, 11)
    return IncompleteImages(random_values(shape, dtype), random_observed(shape), Layout(channels_last))


def completed_by(images: IncompleteImages, draws: np.ndarray) -> Completed:
    """Draws in the units of the data, put into the images."""
    return complete_images(images, draws, lambda x: x.astype(np.float64))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("draws", [(), (5,)])
def test_observed_values_are_pasted_and_others_rounded_and_clipped(dtype: str, draws: tuple[int, ...]) -> None:
    """To the nearest value that the dtype has; what is completed at observed pixels counts for nothing."""
    images = incomplete(dtype)
    shape = (SHAPE[0], *draws, *SHAPE[1:])
    observed = np.broadcast_to(images.observed[:, None] if draws else images.observed, shape)
    values = np.broadcast_to(images.values[:, None] if draws else images.values, shape)
    completed = np.random.default_rng(2).normal(0, 100, shape)
    completed.ravel()[np.flatnonzero(~observed)[:2]] = -1e300, 1e300
    completed[observed] = np.nan
    pasted = paste_into(values, observed, completed)
    assert pasted.dtype == dtype
    assert pasted[observed].tobytes() == values[observed].tobytes()
    missing = pasted[~observed]
    if np.dtype(dtype).kind == "f":
        assert np.isfinite(missing).all()
        assert np.array_equal(missing[2:], completed[~observed][2:].astype(dtype))
        assert missing[0] == np.finfo(dtype).min if dtype != "float64" else missing[0] == -1e300
    else:
        limits = np.iinfo(dtype)
        low, high = max(limits.min, -(2**53)), min(limits.max, 2**53)
        assert (missing[0], missing[1]) == (low, high)
        expected = [min(max(round(value), low), high) for value in completed[~observed][2:].tolist()]
        assert missing[2:].tolist() == expected


def test_values_at_missing_pixels_reach_no_result(tmp_path: Path) -> None:
    """Whatever stood there in the file."""
    images = incomplete("float32")
    completed = np.random.default_rng(2).normal(size=SHAPE)
    results = []
    for poison in (0, np.nan, np.inf, -1e30):
        poisoned = IncompleteImages(np.where(images.observed, images.values, poison), images.observed, images.layout)
        write_npz(tmp_path / "x.npz", poisoned, completed_by(poisoned, np.stack([completed, -completed], axis=1)))
        results.append((tmp_path / "x.npz").read_bytes())
    assert len(set(results)) == 1


def test_draws_are_checked() -> None:
    """Shapes, dtypes, and values that are none, at missing pixels only."""
    images = incomplete()
    good = np.zeros((SHAPE[0], 2, *SHAPE[1:]))
    for wrong in (good[:3], good[:, :, :2], good[:, 0], good.astype(np.int64)):
        with pytest.raises(InputError, match="draws: "):
            completed_by(images, wrong)
    observed = np.broadcast_to(images.observed[:, None], good.shape)
    for poison in (np.nan, np.inf):
        completed = completed_by(images, np.where(observed, poison, 3))
        assert np.array_equal(completed.images, np.where(images.observed, images.values, 3))
        assert not completed.sd.any()
        with pytest.raises(InputError, match="completed: NaN or infinite"):
            completed_by(images, np.where(observed, 3, poison))


def test_mean_and_deviation_are_of_the_draws() -> None:
    """In the units of the data, for more images than are converted at a time; no deviation for a single draw."""
    shape = (150, 1, 8, 9)
    images = IncompleteImages(random_values(shape, "float32"), random_observed(shape), Layout(False))
    draws = np.random.default_rng(0).normal(size=(150, 4, 1, 8, 9)).astype(np.float16)
    completed = complete_images(images, draws, lambda x: 10 * x.astype(np.float64) - 3)
    missing, in_units = ~images.observed, 10 * draws.astype(np.float64) - 3
    assert np.allclose(completed.images[missing], in_units.mean(1)[missing], rtol=1e-6)
    assert np.allclose(completed.sd[missing], in_units.std(1, ddof=1)[missing], rtol=1e-6)
    assert np.array_equal(completed.draws[:, 2][missing], in_units[:, 2][missing].astype(np.float32))
    assert not completed.sd[images.observed].any()
    assert not complete_images(images, draws[:, :1], lambda x: x.astype(np.float64)).sd.any()


@pytest.mark.parametrize("dtype", ["uint8", "float64"])
@pytest.mark.parametrize("channels_last", [True, False])
def test_an_npz_has_the_layout_of_the_input(dtype: str, channels_last: bool, tmp_path: Path) -> None:
    """What was (N, H, W) is so again; the same content is the same bytes; numpy reads it without pickles."""
    images = incomplete(dtype, channels_last=channels_last)
    source, path = tmp_path / "in.npz", tmp_path / "out.npz"
    axes = (0, 2, 3, 1)
    to_file: Any = (lambda x: x.transpose(axes)) if channels_last else (lambda x: x[:, 0])
    np.savez(source, images=to_file(images.values), mask=to_file(images.observed))
    loaded = read_images(source, mask="observed")
    assert loaded.layout == images.layout == Layout(**asdict(images.layout))
    draws = np.random.default_rng(2).uniform(0, 255, (4, 2, *images.values.shape[1:]))
    completed = completed_by(loaded, draws)
    write_npz(path, loaded, completed)
    content = path.read_bytes()
    write_npz(path, loaded, completed)
    assert path.read_bytes() == content
    with np.load(path, allow_pickle=False) as file, np.load(source) as given:
        observed = given["mask"]
        assert sorted(file) == ["draws", "images", "observed", "sd"]
        assert file["images"].dtype == file["draws"].dtype == dtype
        assert file["images"][observed].tobytes() == given["images"][observed].tobytes()
        assert file["draws"][:, 1][observed].tobytes() == given["images"][observed].tobytes()
        assert np.array_equal(file["observed"], observed)
        assert not file["sd"][observed].any()
        assert np.allclose(file["sd"], np.where(observed, 0, to_file(draws.std(axis=1, ddof=1))))
        assert np.array_equal(file["draws"][:, 0], to_file(paste_into(images.values, images.observed, draws[:, 0])))


@pytest.mark.parametrize(
    ("dtype", "channels", "alpha", "suffix"),
    [
        ("uint8", 1, False, ".png"), ("uint8", 3, False, ".png"), ("uint8", 1, True, ".png"),
        ("uint8", 3, True, ".png"), ("uint16", 1, False, ".png"), ("uint8", 1, False, ".tif"),
        ("uint8", 3, True, ".tif"), ("uint16", 1, False, ".tif"), ("int32", 1, False, ".tif"),
        ("float32", 1, False, ".tif"),
    ],
)  # fmt: skip
def test_a_folder_comes_back_as_it_was(dtype: str, channels: int, alpha: bool, suffix: str, tmp_path: Path) -> None:
    """Names, format, depth, alpha (255 everywhere) and observed values; the same content is the same bytes."""
    rng = np.random.default_rng(0)
    for name in ("b", "a 1", "ü"):
        pixels = random_values((9, 11, channels), dtype, seed=int(rng.integers(9)))
        known = random_observed((9, 11), seed=int(rng.integers(9)))
        if alpha:
            pixels = np.concatenate([pixels, 255 * known[..., None].astype(np.uint8)], axis=2)
        save_image(tmp_path / f"in/images/{name}{suffix}", pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        save_image(tmp_path / f"in/masks/{name}.png", known)
    images = read_images(tmp_path / "in", mask="observed")
    completed = completed_by(images, rng.uniform(0, 255, (3, 1, *images.values.shape[1:])))
    write_folder(tmp_path / "out", images, completed.images)
    files = sorted((tmp_path / "out").iterdir())
    assert [file.name for file in files] == [f"{name}{suffix}" for name in ("a 1", "b", "ü")]
    with Image.open(files[0]) as image, Image.open(tmp_path / "in/images" / files[0].name) as given:
        assert (image.mode, image.size, image.format) == (given.mode, given.size, given.format)
    again = read_images(tmp_path / "out")
    assert again.observed.all()
    assert again.layout == images.layout
    assert again.values.tobytes() == completed.images.tobytes()
    contents = [file.read_bytes() for file in files]
    write_folder(tmp_path / "out", images, completed.images)
    assert [file.read_bytes() for file in files] == contents
    write_npz(tmp_path / "out.npz", images, completed)
    with np.load(tmp_path / "out.npz", allow_pickle=False) as file:
        assert file["names"].tolist() == ["a 1", "b", "ü"]
        assert file["images"].shape == ((3, 9, 11) if channels == 1 else (3, 9, 11, channels))


def test_a_jpeg_comes_back_as_a_png(tmp_path: Path) -> None:
    """So that its observed values, as they were read, are kept."""
    save_image(tmp_path / "in/images/a.jpg", random_values((9, 11, 3), "uint8"))
    save_image(tmp_path / "in/masks/a.png", random_observed((9, 11)))
    images = read_images(tmp_path / "in", mask="observed")
    write_folder(tmp_path / "out", images, paste_into(images.values, images.observed, np.zeros(images.values.shape)))
    again = read_images(tmp_path / "out")
    assert (tmp_path / "out/a.png").exists()
    assert np.array_equal(again.values, np.where(images.observed, images.values, 0))


def test_an_array_is_written_to_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no names"):
        write_folder(tmp_path / "out", incomplete(), np.zeros(SHAPE))
