"""Files that were made to run code, or to make their reader ask for more memory than there is."""

import gzip
import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

MEMORY = 64 * 2**20
"""More than this is needed to read none of these files, although they claim or unpack to more."""

_ARRAYS = ("images.npy", "observed.npy", "facts.npy")


class Evil:
    """Unpickling this creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def hostile_files(trap: Path) -> dict[str, bytes]:
    """Contents by name; those that run code create the file `trap`."""
    evil = Evil(trap)
    objects = np.array([evil], dtype=object)
    header = {"descr": "<f8", "fortran_order": False, "shape": (10**14,)}
    laughs = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    tensors = b'{"a":{"dtype":"F32","shape":[250000000000000],"data_offsets":[0,1000000000000000]}}'
    return {
        "pickle": pickle.dumps(evil),
        "old pickle": pickle.dumps(evil, protocol=0),
        "torch.save": _saved(lambda file: torch.save({"images": evil}, file)),
        "torch.save, old format": _saved(
            lambda file: torch.save({"images": evil}, file, _use_new_zipfile_serialization=False)
        ),
        "npy of objects": _saved(lambda file: np.save(file, objects)),
        "npz of objects": _saved(lambda file: np.savez(file, images=objects, observed=objects, metadata=objects)),
        "npz of objects, compressed": _saved(
            lambda file: np.savez_compressed(file, images=objects, observed=objects, metadata=objects)
        ),
        "zip with pickles": _zipped(dict.fromkeys(_ARRAYS, pickle.dumps(evil))),
        "zip with pickles of other names": _zipped(dict.fromkeys(("images", "archive/data.pkl"), pickle.dumps(evil))),
        "zip with paths upwards": _zipped({f"../../{trap.name}": b"x", str(trap): b"x"}),
        "zip bomb": _zipped(dict.fromkeys(_ARRAYS, _npy({**header, "shape": (MEMORY // 4,)}, bytes(2 * MEMORY)))),
        "petabyte in a zip directory": _zipped(dict.fromkeys(_ARRAYS, _npy(header, bytes(100))), claim=10**15),
        "4 GB in a zip directory": _zipped(dict.fromkeys(_ARRAYS, _npy(header, bytes(100))), claim=2**32 - 2),
        "petabyte in a npy header": _zipped(dict.fromkeys(_ARRAYS, _npy(header))),
        "expression in a npy header": _zipped(
            dict.fromkeys(_ARRAYS, _npy({"descr": f"__import__('pathlib').Path('{trap}').touch()"}))
        ),
        "gzip bomb": gzip.compress(bytes(2 * MEMORY)),
        "safetensors header of an absurd length": _safetensors(2**63 - 1),
        "safetensors header longer than the file": _safetensors(10**8, b"{" + b" " * 1000),
        "safetensors tensor of a petabyte": _safetensors(len(tensors), tensors),
        "YAML that calls": f"!!python/object/apply:pathlib.Path.touch [!!python/object:pathlib.Path {trap}]".encode(),
        "YAML that calls deeper": f"stages: !!python/object/apply:os.system ['touch {trap}']\n".encode(),
        "YAML of a billion laughs": "\n".join(["a0: &a0 [x, x, x]", *laughs, "stages: *a9"]).encode(),
        "YAML of a billion laughs, a param": "\n".join(["a0: &a0 [x, x, x]", *laughs, "profile: *a9"]).encode(),
        "JSON of great depth": b"[" * 10**6,
        "JSON of a long integer": b'{"checksum": ' + b"9" * 10**5 + b"}",
    }  # fmt: skip


def _saved(save: Callable[[Any], Any]) -> bytes:
    buffer = io.BytesIO()
    save(buffer)
    return buffer.getvalue()


def _npy(header: dict[str, Any], data: bytes = b"") -> bytes:
    text = (repr(header) + "\n").encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def _zipped(members: dict[str, bytes], *, claim: int | None = None) -> bytes:
    """`claim`: the size that the directory gives each member."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        for info in archive.filelist:
            info.file_size = claim or info.file_size
    return buffer.getvalue()


def _safetensors(length: int, header: bytes = b"{}") -> bytes:
    return struct.pack("<Q", length) + header
