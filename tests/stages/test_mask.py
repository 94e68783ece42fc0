"""The stages `mask` and `mask_test`: each its own mechanism, with its settings, from its own random numbers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support import tiny

from ldmiss.core.randomness import numpy_generator
from ldmiss.errors import InputError
from ldmiss.missingness.mechanisms import MECHANISMS, draw_observed
from ldmiss_pipeline.artifacts.observed import load_observed
from ldmiss_pipeline.artifacts.paths import OBSERVED_TEST

SETTINGS = {"mar": {"slope": 2.0}, "mnar": {"slope": 3.0}, "block": {"num_blocks": 2}}
"""Others than the defaults."""


def observed_by(folder: Path) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """What the two stages wrote for the training and the test images, as bool (N, 1, H, W)."""
    tiny.run(folder, lambda stage: stage in ("mask", "mask_test"))
    both = (load_observed(folder / path)[1] for path in (tiny.CELL.observed(), OBSERVED_TEST))
    train, test = (observed.reshape(len(observed), 1, 28, 28) for observed in both)
    return train, test


@pytest.mark.parametrize("mechanism", [name for name in MECHANISMS if name not in ("mcar", "borrowed")])
def test_each_split_has_its_mechanism_and_settings(mechanism: str, raw: dict[str, Any], tmp_path: Path) -> None:
    """A mechanism for training and mcar for testing, and the other way round: what the library draws for them."""
    settings = SETTINGS.get(mechanism, {})
    expected = {}
    for split, generator in (("train", (tiny.SEED, "observed")), ("test", (0, "test observed"))):
        images = raw[split]["images"].reshape(-1, 1, 28, 28)
        for name in (mechanism, "mcar"):
            expected[split, name] = draw_observed(
                name, images, 0.5, numpy_generator(*generator), settings=settings if name == mechanism else None
            )
    for train, test in ((mechanism, "mcar"), ("mcar", mechanism)):
        missing = {"mechanism": train, "test_mechanism": test, **SETTINGS}
        found = observed_by(tiny.make_project(tmp_path / f"{train}-{test}", raw, missing=missing))
        assert (found[0] == expected["train", train]).all()
        assert (found[1] == expected["test", test]).all()


def test_a_complete_data_set_has_no_hole_to_borrow(raw: dict[str, Any], tmp_path: Path) -> None:
    """Refused in one line, with advice."""
    folder = tiny.make_project(tmp_path / "project", raw, missing={"mechanism": "borrowed"})
    with pytest.raises(InputError, match="borrowed needs another image"):
        tiny.run(folder, lambda stage: stage in ("mask", "mask_test"))
