"""Arrays of npz and npy files, read without pickles and within a limit of memory."""

import io
import struct
import tokenize
import zipfile
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_ARRAY_BYTES = 4 * 2**30
"""More is unpacked from no file: a few MB can claim to hold any amount."""
READ_ERRORS = (
    zipfile.BadZipFile, zlib.error, struct.error, RuntimeError, ValueError, TypeError, KeyError, EOFError, OSError,
    OverflowError, MemoryError, SyntaxError, tokenize.TokenError,
)  # fmt: skip
"""What the two functions below raise if a file is damaged or holds something else."""


def read_member(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """An array of an npz by the name of its member, `<name>.npy`; zip's checksum is compared."""
    info = archive.getinfo(name)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.file_size > MAX_ARRAY_BYTES:
        raise ValueError(f"{name} is no stored or deflated array of at most {MAX_ARRAY_BYTES} bytes")
    return read_npy(archive.read(info), name)  # all of it: only then is its CRC compared


def read_npy(content: bytes, name: str) -> NDArray[Any]:
    """The array that the bytes of an npy file hold; `name` is for the messages."""
    if len(content) > MAX_ARRAY_BYTES:
        raise ValueError(f"{name} is larger than {MAX_ARRAY_BYTES} bytes")
    file = io.BytesIO(content)
    array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    if file.read(1):
        raise ValueError(f"{name} holds more than its array")
    return array
