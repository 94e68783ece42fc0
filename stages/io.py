"""The one home of file formats and atomic writes: npz (no pickles), safetensors, JSON, CSV.

A file is written under a temporary name in the same folder and then renamed, so that a reader, or a run after a kill,
never sees half a file. The same content gives the same bytes.
"""

import contextlib
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ldmiss.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

FORMAT_VERSION = 1


def atomic_write(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Call `write` on a temporary file beside `path`, then rename it to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a full disk does not say which file it was
        raise
    finally:
        temporary.unlink(missing_ok=True)


def save_json(path: Path, value: Any) -> None:
    """Write JSON with two spaces of indent; NaN is refused, for it is no JSON."""
    text = json.dumps(value, indent=2, allow_nan=False) + "\n"
    atomic_write(path, lambda file: file.write(text.encode()))


def load_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        InputError: missing or malformed file.
    """
    try:
        return json.loads(_existing(path).read_text())
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON ({error})") from None


def save_text(path: Path, text: str) -> None:
    """Write text as UTF-8."""
    atomic_write(path, lambda file: file.write(text.encode()))


def save_arrays(path: Path, **arrays: NDArray[Any]) -> None:
    """Write named arrays as a compressed npz."""
    atomic_write(path, lambda file: np.savez_compressed(file, **arrays))  # type: ignore[arg-type]


def load_arrays(path: Path, *names: str) -> list[NDArray[Any]]:
    """Read named arrays of an npz.

    Raises:
        InputError: missing, truncated or corrupted file, or a missing name.
    """
    try:
        with np.load(_existing(path), allow_pickle=False) as archive:
            return [archive[name] for name in names]
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        NotImplementedError,
        ValueError,
        KeyError,
        EOFError,
        OSError,
    ) as error:
        raise InputError(f"{path}: corrupted, or not the file expected here ({_one_line(error)})") from None


def save_observed(path: Path, images: NDArray[np.uint8], observed: NDArray[np.bool_], *, dataset: str) -> None:
    """Write incomplete images, uint8 (N, H, W) 0 where missing, their observed-indicators, and their data set."""
    save_arrays(path, images=images, observed=np.packbits(observed), dataset=np.array(dataset))


def load_dataset_name(path: Path) -> str:
    """The data set that the incomplete images in a file are from; raises as `load_arrays`."""
    (name,) = load_arrays(path, "dataset")
    return str(name)


def load_observed(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Images uint8 and observed bool, both (N, H, W).

    Raises:
        InputError: as `load_arrays`; or the indicators do not fit the images.
    """
    images, packed = load_arrays(path, "images", "observed")
    if packed.size != -(-images.size // 8):
        raise InputError(f"{path}: the observed-indicators do not fit the {images.shape} images")
    observed = np.unpackbits(packed, count=images.size).astype(bool).reshape(images.shape)
    if images[~observed].any():
        raise InputError(f"{path}: values where nothing was observed; they must be 0")
    return images, observed


def save_tensors(path: Path, tensors: Mapping[str, "Tensor"], *, kind: str, facts: Mapping[str, Any]) -> None:
    """Write tensors as safetensors with `facts` (JSON) and their kind in the header.

    The header holds one JSON text under one key: safetensors keeps its keys in no fixed order.
    """
    from safetensors.torch import save

    header = json.dumps({"kind": kind, "format": FORMAT_VERSION, **facts}, sort_keys=True)
    atomic_write(path, lambda file: file.write(save(dict(tensors), metadata={"ldmiss": header})))


def load_tensors(path: Path, *, kind: str) -> tuple[dict[str, "Tensor"], dict[str, Any]]:
    """Tensors (on the CPU) and facts of a safetensors file.

    Raises:
        InputError: missing or truncated file, another kind, another format version.
    """
    with _open_tensors(path) as file:
        header = _header(file)
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if header.get("kind") != kind or header.get("format") != FORMAT_VERSION:
        found = f"{header.get('kind')!r}, format {header.get('format')}"
        raise InputError(f"{path}: expected {kind!r}, format {FORMAT_VERSION}, found {found}")
    return tensors, header


def load_facts(path: Path) -> dict[str, Any]:
    """The facts of a safetensors file, without its tensors; raises as `load_tensors`, but for any kind."""
    with _open_tensors(path) as file:
        return _header(file)


@contextlib.contextmanager
def _open_tensors(path: Path) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(_existing(path), framework="pt") as file:
            yield file
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path}: corrupted, or no safetensors file ({_one_line(error)})") from None


def _header(file: Any) -> dict[str, Any]:
    return json.loads((file.metadata() or {}).get("ldmiss", "{}"))


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise InputError(f"{path}: missing file; make it with `dvc repro`")
    return path


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
