"""The format of model files: safetensors with metadata, versioned, and a checksum of everything in the header."""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ldmiss.errors import InputError, one_line
from ldmiss.files.atomic import atomic_write, existing_file

FORMAT_VERSION = 2


def save_tensors(path: Path, tensors: Mapping[str, Tensor], *, kind: str, metadata: Mapping[str, Any]) -> str:
    """Write tensors as safetensors with `metadata` (JSON), their kind and a digest of everything in the header.

    The header holds one JSON text under one key: safetensors keeps its keys in no fixed order.

    Returns:
        The digest, SHA-256 in hexadecimal: what a file that belongs to this one can name.
    """
    from safetensors.torch import save

    header = {"kind": kind, "format": FORMAT_VERSION, **{key: metadata[key] for key in metadata if key != "digest"}}
    digest = _tensors_digest(tensors, header)
    text = json.dumps({**header, "digest": digest}, sort_keys=True)
    atomic_write(path, lambda file: file.write(save(dict(tensors), metadata={"ldmiss": text})))
    return digest


def load_tensors(path: Path, *, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors (on the CPU) and metadata of a safetensors file.

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


def load_metadata(path: Path) -> dict[str, Any]:
    """The metadata of a safetensors file of any kind, without its tensors (and unchecked); raises as `load_tensors`."""
    with _open_tensors(path) as file:
        return _header(file)


def _tensors_digest(tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> str:
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

    existing = existing_file(path)
    try:
        with safe_open(existing, framework="pt") as file:
            yield file
    except (SafetensorError, OSError, ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"{path}: corrupted, or no safetensors file ({one_line(error)})") from None


def _header(file: Any) -> dict[str, Any]:
    header = json.loads((file.metadata() or {}).get("ldmiss", "{}"))
    return header if isinstance(header, dict) else {}


def with_prefix(prefix: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights under `prefix.<name>`, so that several networks share one file."""
    return {f"{prefix}.{name}": value for name, value in weights.items()}


def without_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that `with_prefix` put under this prefix, by their own names."""
    start = f"{prefix}."
    return {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}
