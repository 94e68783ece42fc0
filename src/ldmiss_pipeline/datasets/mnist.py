"""The canonical MNIST, from a mirror, verified at every read."""

import gzip
import hashlib
import http.client
import os
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ldmiss.errors import InputError, one_line
from ldmiss.files.atomic import atomic_write
from ldmiss_pipeline.datasets.dataset import Dataset, Images

MIRROR_VARIABLE = "LDMISS_MNIST_MIRROR"
_MIRROR_STARTS = ("file:/", "http://", "https://")
_TIMEOUT_SECONDS = 60
_MAX_BYTES = 64 * 2**20
"""More is read of no file and from no mirror; the largest of the four has 10 MB."""
_MNIST_FILES = {
    "train_images": "train-images-idx3-ubyte.gz",
    "train_labels": "train-labels-idx1-ubyte.gz",
    "test_images": "t10k-images-idx3-ubyte.gz",
    "test_labels": "t10k-labels-idx1-ubyte.gz",
}
# Those of `torchvision.datasets.MNIST.resources`, written out so that reading needs no torch (a test compares).
_MNIST_MD5 = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}


def _download_mnist(folder: Path) -> None:
    """The four canonical .gz files, verified before they are kept: from the user's mirror, then torchvision's."""
    from torchvision.datasets import MNIST as TORCHVISION_MNIST

    own = os.environ.get(MIRROR_VARIABLE)
    if own and not own.lower().startswith(_MIRROR_STARTS):
        raise InputError(
            f"{MIRROR_VARIABLE}: {own!r} is no mirror; allowed: file:///folder, http://host/path, https://host/path"
        )
    mirrors = ([own] if own else []) + list(TORCHVISION_MNIST.mirrors)
    for name in _MNIST_FILES.values():
        atomic_write(folder / name, _fetcher(name, mirrors))


def _fetcher(name: str, mirrors: list[str]) -> Callable[[Any], Any]:
    problems = []
    for mirror in mirrors:
        url = f"{mirror.rstrip('/')}/{name}"
        try:
            # The scheme was checked, and nothing is done with the content before its MD5 is.
            with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310
                content = response.read(_MAX_BYTES)
        except (OSError, ValueError, http.client.HTTPException) as error:
            problems.append(one_line(f"{mirror}: {error}"))
            continue
        if hashlib.md5(content, usedforsecurity=False).hexdigest() == _MNIST_MD5[name]:
            if problems:
                print(f"warning: {name} taken from {mirror}, because of {'; '.join(problems)}", file=sys.stderr)
            return lambda file: file.write(content)
        problems.append(f"{mirror}: {name} has the wrong MD5 (partial or corrupted)")
    raise InputError(
        f"MNIST: {name} could not be had ({'; '.join(problems)}). Without a network, put the four canonical .gz files "
        f"in a folder and set {MIRROR_VARIABLE}=file:///that/folder (or an http mirror), or use -S dataset=mnist5k"
    )


def _load_mnist(folder: Path, split: str) -> Images:
    images = _read_idx(folder / _MNIST_FILES[f"{split}_images"])
    return Images(images, _read_idx(folder / _MNIST_FILES[f"{split}_labels"]).astype(np.int64))


def _read_idx(path: Path) -> NDArray[np.uint8]:
    """An IDX file of bytes: magic 0 0 8 ndim, the sizes as big-endian uint32, then the data."""
    if not path.is_file():
        raise InputError(f"{path}: missing file; make it with `dvc repro download`")
    content = path.read_bytes() if path.stat().st_size <= _MAX_BYTES else b""
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != _MNIST_MD5[path.name]:
        raise InputError(f"{path}: corrupted (wrong MD5); delete data/raw and run `dvc repro --force download`")
    data = gzip.decompress(content)  # only now: what has this MD5 is no bomb
    num_axes = data[3]
    shape = np.frombuffer(data, ">u4", count=num_axes, offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * num_axes).reshape(shape)


MNIST = Dataset(60_000, 10_000, download=_download_mnist, load=_load_mnist)
