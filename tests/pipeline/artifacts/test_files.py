"""File formats: round trips, clear errors, no pickles."""

import contextlib
from pathlib import Path

import numpy as np
import pytest

from ldmiss.errors import InputError
from ldmiss_pipeline.artifacts.arrays import load_arrays, save_arrays
from ldmiss_pipeline.artifacts.json_files import save_json
from ldmiss_pipeline.artifacts.observed import load_observed, load_observed_metadata, save_observed


def test_observed_round_trip(tmp_path: Path) -> None:
    """Images and indicators come back; sizes need not be a multiple of eight."""
    rng = np.random.default_rng(0)
    observed = rng.random((3, 5, 5)) > 0.5
    images = np.where(observed, rng.integers(1, 255, (3, 5, 5)), 0).astype(np.uint8)
    save_observed(tmp_path / "x.npz", images, observed, metadata={"dataset": "mnist5k"})
    assert load_observed_metadata(tmp_path / "x.npz", "dataset") == {"dataset": "mnist5k"}
    loaded_images, loaded_observed = load_observed(tmp_path / "x.npz")
    assert np.array_equal(images, loaded_images)
    assert np.array_equal(observed, loaded_observed)


def test_indicators_of_other_images_are_refused(tmp_path: Path) -> None:
    """A wrong pairing is named, not broadcast."""
    path = tmp_path / "x.npz"
    save_arrays(path, images=np.zeros((2, 4, 4), np.uint8), observed=np.packbits(np.ones((3, 4, 4), bool)))
    with pytest.raises(InputError, match="do not fit"):
        load_observed(path)


def test_values_at_missing_pixels_are_refused(tmp_path: Path) -> None:
    """The second guard against leakage: a file that holds truth behind missing pixels is no input."""
    path = tmp_path / "x.npz"
    save_observed(
        path, np.full((1, 2, 2), 9, np.uint8), np.array([[[True, True], [True, False]]]), metadata={"dataset": "mnist"}
    )
    with pytest.raises(InputError, match="values where nothing was observed"):
        load_observed(path)


def test_a_flipped_byte_or_a_cut_is_never_a_traceback(tmp_path: Path) -> None:
    """Wherever the corruption sits, it is found (or outside the data), and named; half a file always is."""
    path = tmp_path / "x.npz"
    images = np.random.default_rng(0).integers(0, 255, (40, 8), np.uint8)
    save_arrays(path, images=images)
    content = path.read_bytes()
    messages = []
    for offset in range(0, len(content), 7):
        path.write_bytes(content[:offset] + bytes([content[offset] ^ 0x55]) + content[offset + 1 :])
        try:
            (loaded,) = load_arrays(path, "images")
            assert np.array_equal(loaded, images), f"corruption at byte {offset} went unseen"
        except InputError as error:
            messages.append(str(error))
        path.write_bytes(content[:offset])
        with pytest.raises(InputError, match=r"x\.npz"):
            load_arrays(path, "images")
    assert len(messages) > 20
    assert all("x.npz" in message for message in messages)


def test_a_flip_in_the_shape_is_found(tmp_path: Path) -> None:
    """numpy reads no more than the shape in the file asks for, and zipfile compares the CRC of what is read to its end.

    So numpy alone takes a single flipped bit in the name of an axis's size for a smaller array, without a word.
    """
    path = tmp_path / "x.npz"
    rng = np.random.default_rng(0)
    images = np.where(rng.random((100, 28, 28)) < 0.2, rng.integers(0, 255, (100, 28, 28)), 0).astype(np.uint8)
    np.savez_compressed(path, images=images)
    content = path.read_bytes()
    unseen_by_numpy = 0
    for offset in range(140, 220):
        for bit in range(8):
            path.write_bytes(content[:offset] + bytes([content[offset] ^ 1 << bit]) + content[offset + 1 :])
            with contextlib.suppress(Exception), np.load(path) as archive:
                unseen_by_numpy += not np.array_equal(archive["images"], images)
            with contextlib.suppress(InputError):
                assert np.array_equal(load_arrays(path, "images")[0], images)
    assert unseen_by_numpy > 0, "what this guards against"


def test_nan_is_no_json(tmp_path: Path) -> None:
    """A metric that is not a number is an error, not a file others cannot read."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        save_json(tmp_path / "x.json", {"fid": float("nan")})
