"""Sets of four IDX files, the format of MNIST: from mirrors, verified at every read."""

import gzip
import hashlib
import http.client
import os
import sys
import urllib.request
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ldmiss.errors import InputError, one_line
from ldmiss.files.atomic import save_bytes
from ldmiss_pipeline.datasets.dataset import Split

_MIRROR_STARTS = ("file:/", "http://", "https://")
_TIMEOUT_SECONDS = 60
_MAX_BYTES = 64 * 2**20
"""More is read of no file and from no mirror, and unpacked of nothing; the largest file has 47 MB."""
_PREFIXES = {"train": "train", "test": "t10k"}


@dataclass(frozen=True)
class IdxFiles:
    """Four files, images and labels of two splits.

    Attributes:
        title: of the set, for messages.
        variable: the environment variable that names the user's own mirror.
        mirrors: the others, in the order in which they are tried. Mirrors have `.gz` files.
        checksums: name of a file as it is kept -> its checksum. Files that keep their `.gz` have the MD5 that is
            published. Those that are kept unpacked have a SHA-256: sources may pack the same content differently.
        otherwise: what a user without a network can do, for the message.
    """

    title: str
    variable: str
    mirrors: Callable[[], list[str]]
    checksums: Mapping[str, str]
    otherwise: str

    def download(self, folder: Path) -> None:
        """Write the four files, verified before they are kept."""
        for name in self.checksums:
            save_bytes(folder / name, self.fetch(name))

    def fetch(self, name: str) -> bytes:
        """The content of a file as it is kept: from the user's mirror, then from the others.

        Raises:
            InputError: no source has it, or the user's mirror is none.
        """
        own = os.environ.get(self.variable)
        if own and not own.lower().startswith(_MIRROR_STARTS):
            raise InputError(
                f"{self.variable}: {own!r} is no mirror; allowed: file:///folder, http://host/path, https://host/path"
            )
        packed = name if name.endswith(".gz") else f"{name}.gz"
        problems = []
        for mirror in ([own] if own else []) + self.mirrors():
            url = f"{mirror.rstrip('/')}/{packed}"
            try:
                # The scheme was checked, and nothing is done with the content before its checksum is.
                with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310
                    content = response.read(_MAX_BYTES)
                content = content if packed == name else _unpacked(content)
            except (OSError, ValueError, http.client.HTTPException, zlib.error) as error:
                problems.append(one_line(f"{mirror}: {error}"))
                continue
            if self._verified(name, content):
                if problems:
                    print(f"warning: {packed} taken from {mirror}, because of {'; '.join(problems)}", file=sys.stderr)
                return content
            problems.append(f"{mirror}: {packed} has the wrong {_kind(name)} (partial or corrupted)")
        raise InputError(
            f"{self.title}: {packed} could not be had ({'; '.join(problems)}). Without a network, put the four "
            f"canonical .gz files in a folder and set {self.variable}=file:///that/folder (or an http mirror), or "
            f"{self.otherwise}"
        )

    def load(self, folder: Path, split: str) -> Split:
        """The "train" or "test" split in a folder that `download` wrote."""
        images, labels = (self.read(folder / name) for name in self.names(split))
        return Split(with_channel(images), labels.astype(np.int64))

    def names(self, split: str) -> tuple[str, str]:
        """The files of a split, images and labels."""
        images, labels = (name for name in self.checksums if name.startswith(_PREFIXES[split]))
        return images, labels

    def read(self, path: Path) -> NDArray[np.uint8]:
        """The array in one of the files, verified.

        Raises:
            InputError: missing or altered file.
        """
        if not path.is_file():
            raise InputError(f"{path}: missing file; make it with `dvc repro download`")
        content = path.read_bytes() if path.stat().st_size <= _MAX_BYTES else b""
        if not self._verified(path.name, content):
            raise InputError(
                f"{path}: corrupted (wrong {_kind(path.name)}); delete data/raw and run `dvc repro --force download`"
            )
        # Unpacked only now: what has this MD5 is no bomb.
        return parse_idx(gzip.decompress(content) if path.suffix == ".gz" else content)

    def _verified(self, name: str, content: bytes) -> bool:
        digest = hashlib.md5(content, usedforsecurity=False) if name.endswith(".gz") else hashlib.sha256(content)
        return digest.hexdigest() == self.checksums[name]


def parse_idx(content: bytes) -> NDArray[np.uint8]:
    """The array of an IDX file of bytes: magic 0 0 8 ndim, the sizes as big-endian uint32, then the data."""
    num_axes = content[3]
    shape = np.frombuffer(content, ">u4", count=num_axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * num_axes).reshape(shape)


def with_channel(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey images (N, H, W) as (N, 1, H, W).

    Not by `[:, None]`: numpy gives a new axis the stride 0, and some of what is indexed out of it later the stride 1,
    with which torch's convolutions add in another order.
    """
    return images.reshape(len(images), 1, *images.shape[1:])


def _unpacked(content: bytes) -> bytes:
    """The first `_MAX_BYTES` of what a .gz file holds."""
    return zlib.decompressobj(wbits=31).decompress(content, _MAX_BYTES)


def _kind(name: str) -> str:
    return "MD5" if name.endswith(".gz") else "SHA-256"
