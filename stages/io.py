"""The one home of file formats and atomic writes: npz (no pickles), safetensors, JSON, CSV.

A file is written under a temporary name in the same folder and then renamed, so that a reader, or a run after a kill,
never sees half a file. The same content gives the same bytes. Every format that a stage reads again is checked as it
is read: npz by zip's CRC, safetensors and JSON by a SHA-256 of their own (a CSV only by DVC's hash, see provenance).
"""

import contextlib
import hashlib
import io
import json
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ldmiss.errors import InputError, one_line

if TYPE_CHECKING:
    from torch import Tensor

FORMAT_VERSION = 2
TEMPORARY_SUFFIX = ".tmp"
"""Of the temporary files, `.<name>.<pid>.tmp`; `.dvcignore` names it, so that one left by a kill changes no hash."""
_FACTS = "facts"
_MAX_ARRAY_BYTES = 4 * 2**30  # more is unpacked from no npz: a few MB can claim to hold any amount
_NPZ_ERRORS = (
    zipfile.BadZipFile, zlib.error, struct.error, RuntimeError, ValueError, TypeError, KeyError, EOFError, OSError,
    OverflowError, MemoryError, SyntaxError, tokenize.TokenError,
)  # fmt: skip


def atomic_write(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Call `write` on a temporary file beside `path`, then rename it to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY_SUFFIX}")
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


def is_temporary(path: Path) -> bool:
    """Whether a file is one that `atomic_write` had not finished."""
    return path.name.startswith(".") and path.name.endswith(TEMPORARY_SUFFIX)


def sweep_temporaries(path: Path) -> None:
    """Remove what a killed run left of writing `path`, a file or a folder of files."""
    pattern = f".*{TEMPORARY_SUFFIX}" if path.is_dir() else f".{path.name}.*{TEMPORARY_SUFFIX}"
    for temporary in path.rglob(pattern) if path.is_dir() else path.parent.glob(pattern):
        temporary.unlink()


def save_json(path: Path, value: Any) -> None:
    """Write JSON with two spaces of indent; NaN is refused, for it is no JSON."""
    save_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def load_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        InputError: missing or malformed file.
    """
    try:
        return json.loads(_existing(path).read_text())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({one_line(error)})") from None


def save_checked_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object with a last entry "checksum", for `load_checked_json`."""
    save_json(path, {**value, "checksum": _json_digest(value)})


def load_checked_json(path: Path) -> dict[str, Any]:
    """Read what `save_checked_json` wrote, without the checksum.

    Raises:
        InputError: missing, malformed or altered file.
    """
    value = load_json(path)
    if not isinstance(value, dict) or value.pop("checksum", None) != _json_digest(value):
        raise InputError(f"{path}: corrupted (its content does not have the checksum it names)")
    return value


def _json_digest(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def save_text(path: Path, text: str) -> None:
    """Write text as UTF-8."""
    atomic_write(path, lambda file: file.write(text.encode()))


def save_arrays(path: Path, *, facts: Mapping[str, Any] | None = None, **arrays: NDArray[Any]) -> None:
    """Write named arrays as a compressed npz, with `facts` (JSON) as one more member."""
    named = {_FACTS: np.array(json.dumps(facts or {}, sort_keys=True)), **arrays}
    atomic_write(path, lambda file: np.savez_compressed(file, **named))  # type: ignore[arg-type]


def load_arrays(path: Path, *names: str) -> list[NDArray[Any]]:
    """Read named arrays of an npz.

    Raises:
        InputError: missing, truncated or corrupted file, or a missing name.
    """
    try:
        with zipfile.ZipFile(_existing(path)) as archive:
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


def load_array_facts(path: Path) -> dict[str, Any]:
    """The facts of an npz; raises as `load_arrays`."""
    (text,) = load_arrays(path, _FACTS)
    try:
        return dict(json.loads(str(text)))
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: corrupted facts ({one_line(error)})") from None


def load_dataset_name(path: Path) -> str:
    """The data set that the incomplete images in a file are from; raises as `load_arrays`."""
    return str(load_array_facts(path).get("dataset"))


def save_observed(
    path: Path, images: NDArray[np.uint8], observed: NDArray[np.bool_], *, facts: Mapping[str, Any]
) -> None:
    """Write incomplete images, uint8 (N, H, W) 0 where missing, and their observed-indicators."""
    save_arrays(path, facts=facts, images=images, observed=np.packbits(observed))


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


def save_tensors(path: Path, tensors: Mapping[str, "Tensor"], *, kind: str, facts: Mapping[str, Any]) -> str:
    """Write tensors as safetensors with `facts` (JSON), their kind and a digest of everything in the header.

    The header holds one JSON text under one key: safetensors keeps its keys in no fixed order.

    Returns:
        The digest, SHA-256 in hexadecimal: what a file that belongs to this one can name.
    """
    from safetensors.torch import save

    header = {"kind": kind, "format": FORMAT_VERSION, **{key: facts[key] for key in facts if key != "digest"}}
    digest = _tensors_digest(tensors, header)
    text = json.dumps({**header, "digest": digest}, sort_keys=True)
    atomic_write(path, lambda file: file.write(save(dict(tensors), metadata={"ldmiss": text})))
    return digest


def load_tensors(path: Path, *, kind: str) -> tuple[dict[str, "Tensor"], dict[str, Any]]:
    """Tensors (on the CPU) and facts of a safetensors file.

    Raises:
        InputError: missing, truncated or altered file, another kind, another format version.
    """
    with _open_tensors(path) as file:
        header = _header(file)
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if header.get("kind") != kind or header.get("format") != FORMAT_VERSION:
        found = f"{header.get('kind')!r}, format {header.get('format')}"
        raise InputError(f"{path}: expected {kind!r}, format {FORMAT_VERSION}, found {found}")
    digest = header.pop("digest", None)
    if digest != _tensors_digest(tensors, header):
        raise InputError(f"{path}: corrupted (its content does not have the checksum it names)")
    return tensors, {**header, "digest": digest}


def load_facts(path: Path) -> dict[str, Any]:
    """The facts of a safetensors file, without its tensors (and unchecked); raises as `load_tensors`, for any kind."""
    with _open_tensors(path) as file:
        return _header(file)


def _tensors_digest(tensors: Mapping[str, "Tensor"], header: Mapping[str, Any]) -> str:
    import torch

    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        digest.update(f"\0{name}\0{value.dtype}\0{tuple(value.shape)}\0".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


@contextlib.contextmanager
def _open_tensors(path: Path) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    existing = _existing(path)
    try:
        with safe_open(existing, framework="pt") as file:
            yield file
    except (SafetensorError, OSError, ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"{path}: corrupted, or no safetensors file ({one_line(error)})") from None


def _header(file: Any) -> dict[str, Any]:
    header = json.loads((file.metadata() or {}).get("ldmiss", "{}"))
    return header if isinstance(header, dict) else {}


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise InputError(f"{path}: missing file; make it with `dvc repro`")
    return path
