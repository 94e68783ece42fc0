"""Arrays on disk: compressed npz, no pickles, with metadata as JSON. Samples and imputations have this format.

The same content gives the same bytes. What is read is checked by zip's CRC.
"""

import io
import json
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ldmiss.errors import InputError, one_line
from ldmiss.files.atomic import atomic_write, existing_file

_METADATA_MEMBER = "facts"  # the name that files have
_MAX_ARRAY_BYTES = 4 * 2**30  # more is unpacked from no npz: a few MB can claim to hold any amount
_NPZ_ERRORS = (
    zipfile.BadZipFile, zlib.error, struct.error, RuntimeError, ValueError, TypeError, KeyError, EOFError, OSError,
    OverflowError, MemoryError, SyntaxError, tokenize.TokenError,
)  # fmt: skip


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
            return [_read_member(archive, f"{name}.npy") for name in names]
    except _NPZ_ERRORS as error:
        raise InputError(f"{path}: corrupted, or not the file expected here ({one_line(error)})") from None


def _read_member(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_DEFLATED or info.file_size > _MAX_ARRAY_BYTES:
        raise ValueError(f"{name} is no deflated array of at most {_MAX_ARRAY_BYTES} bytes")
    content = io.BytesIO(archive.read(info))  # all of it: only then is its CRC compared
    array: NDArray[Any] = np.lib.format.read_array(content, allow_pickle=False)
    if content.read(1):
        raise ValueError(f"{name} holds more than its array")
    return array


def load_array_metadata(path: Path) -> dict[str, Any]:
    """The metadata of an npz; raises as `load_arrays`."""
    (text,) = load_arrays(path, _METADATA_MEMBER)
    try:
        return dict(json.loads(str(text)))
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: corrupted metadata ({one_line(error)})") from None
