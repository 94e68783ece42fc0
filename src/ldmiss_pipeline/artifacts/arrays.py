"""Arrays on disk: compressed npz, no pickles, with metadata as JSON. Samples and imputations have this format.

The same content gives the same bytes. What is read is checked by zip's CRC.
"""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ldmiss.errors import InputError, one_line
from ldmiss.files.atomic import atomic_write, existing_file
from ldmiss.files.npz import READ_ERRORS, read_member

_METADATA_MEMBER = "facts"  # the name that files have


def save_arrays(path: Path, *, metadata: Mapping[str, Any] | None = None, **arrays: NDArray[Any]) -> None:
    """Write named arrays as a compressed npz, with `metadata` (JSON) as one more member."""
    named = {_METADATA_MEMBER: np.array(json.dumps(metadata or {}, sort_keys=True)), **arrays}
    atomic_write(path, lambda file: np.savez_compressed(file, **named))  # type: ignore[arg-type]


def load_arrays(path: Path, *names: str) -> list[NDArray[Any]]:
    """Read named arrays of an npz.

    Raises:
        InputError: missing, truncated or corrupted file, or a missing name.
    """
    existing_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            return [read_member(archive, f"{name}.npy") for name in names]
    except READ_ERRORS as error:
        raise InputError(f"{path}: corrupted, or not the file expected here ({one_line(error)})") from None


def load_array_metadata(path: Path) -> dict[str, Any]:
    """The metadata of an npz; raises as `load_arrays`."""
    (text,) = load_arrays(path, _METADATA_MEMBER)
    try:
        return dict(json.loads(str(text)))
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: corrupted metadata ({one_line(error)})") from None
