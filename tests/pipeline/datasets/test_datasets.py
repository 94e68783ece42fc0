"""Data sets: the embedded digits, and the canonical MNIST through a mirror, verified at every read."""

import gzip
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
from support.imports import ROOT

from ldmiss.errors import InputError
from ldmiss_pipeline.datasets import mnist
from ldmiss_pipeline.datasets.mnist import MIRROR_VARIABLE
from ldmiss_pipeline.datasets.registry import DATASETS, load_split

CANONICAL = ROOT.parent / "shared/data/mnist"


def test_embedded_digits(tmp_path: Path) -> None:
    """4,000 / 1,000, stratified, disjoint, and the same at every call."""
    DATASETS["mnist5k"].download(tmp_path / "mnist5k")
    train, test = (load_split("mnist5k", tmp_path, split) for split in ("train", "test"))
    assert train.images.shape == (4000, 28, 28)
    assert test.images.shape == (DATASETS["mnist5k"].num_test, 28, 28)
    assert np.bincount(train.labels).tolist() == [400] * 10
    assert np.bincount(test.labels).tolist() == [100] * 10
    assert not {image.tobytes() for image in train.images} & {image.tobytes() for image in test.images}
    digest = hashlib.sha256(train.images.tobytes() + test.images.tobytes()).hexdigest()
    assert digest.startswith(EMBEDDED_SHA256)
    assert 0.12 < train.images.mean() / 255 < 0.14


EMBEDDED_SHA256 = "2c0f7aff8da8105a"


@pytest.fixture
def small_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mirror with a tiny MNIST in the canonical format, and its checksums in place of the real ones."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    rng = np.random.default_rng(0)
    checksums = {}
    for split, number in (("train", 6), ("t10k", 4)):
        images, labels = rng.integers(0, 256, (number, 28, 28), np.uint8), rng.integers(0, 10, number, np.uint8)
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
            path = folder / f"{split}-{kind}-ubyte.gz"
            path.write_bytes(gzip.compress(header + array.tobytes(), mtime=0))
            checksums[path.name] = hashlib.md5(path.read_bytes()).hexdigest()
    monkeypatch.setattr(mnist, "_MNIST_MD5", checksums)
    monkeypatch.setenv(MIRROR_VARIABLE, f"file://{folder}")
    monkeypatch.setattr("torchvision.datasets.MNIST.mirrors", [])
    return folder


def test_mnist_from_a_mirror(small_mirror: Path, tmp_path: Path) -> None:
    """The four files are kept as they are, and read as images and labels."""
    DATASETS["mnist"].download(tmp_path / "mnist")
    assert {path.name for path in (tmp_path / "mnist").iterdir()} == {path.name for path in small_mirror.iterdir()}
    train, test = (load_split("mnist", tmp_path, split) for split in ("train", "test"))
    assert (train.images.shape, test.labels.shape) == ((6, 28, 28), (4,))
    assert np.array_equal(train.images[0], np.random.default_rng(0).integers(0, 256, (6, 28, 28), np.uint8)[0])


def test_a_corrupted_download_is_never_kept(small_mirror: Path, tmp_path: Path) -> None:
    """A partial file on the mirror: refused by name, nothing written."""
    path = small_mirror / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte.gz .*wrong MD5"):
        DATASETS["mnist"].download(tmp_path / "mnist")
    assert not (tmp_path / "mnist").exists()


def test_a_download_cut_short_falls_back_with_a_warning(
    small_mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server that ends before its Content-Length: the next mirror is used, and the user is told."""

    class CutShort(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"half")

        def log_message(self, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), CutShort)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv(MIRROR_VARIABLE, f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr("torchvision.datasets.MNIST.mirrors", [f"file://{small_mirror}"])
    DATASETS["mnist"].download(tmp_path / "mnist")
    server.shutdown()
    assert load_split("mnist", tmp_path, "train").images.shape == (6, 28, 28)
    assert "warning: train-images-idx3-ubyte.gz taken from file://" in capsys.readouterr().err


def test_without_a_source_the_error_says_how_to_get_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No mirror and no network: the variable to set, and the data set that needs neither."""
    monkeypatch.setattr("torchvision.datasets.MNIST.mirrors", [f"file://{tmp_path}/nowhere/"])
    monkeypatch.setenv(MIRROR_VARIABLE, f"file://{tmp_path}/empty")
    with pytest.raises(InputError, match=rf"{MIRROR_VARIABLE}=file://.*dataset=mnist5k") as caught:
        DATASETS["mnist"].download(tmp_path / "mnist")
    assert "nowhere" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("mirror", ["ftp://host/mnist", "data:,x", "/a/folder", "http", "gopher://[", "file\n:///x"])
def test_a_mirror_of_another_kind_is_refused(mirror: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """urllib opens more than files and http; the variable is named, with what is allowed."""
    monkeypatch.setenv(MIRROR_VARIABLE, mirror)
    monkeypatch.setattr("urllib.request.urlopen", lambda *args, **kwargs: pytest.fail("opened"))
    with pytest.raises(InputError, match=rf"{MIRROR_VARIABLE}: .* allowed: file:///folder, http://") as caught:
        DATASETS["mnist"].download(tmp_path / "mnist")
    assert str(caught.value).isprintable()


def test_no_more_is_read_of_a_mirror_than_the_files_are_long(
    small_mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mirror that never stops sending costs bounded memory, and is refused for its MD5."""
    monkeypatch.setattr(mnist, "_MAX_BYTES", 1000)
    asked = []

    class Endless:
        def __enter__(self) -> "Endless":
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def read(self, size: int = -1) -> bytes:
            asked.append(size)
            return bytes(size)

    monkeypatch.setattr("urllib.request.urlopen", lambda *args, **kwargs: Endless())
    with pytest.raises(InputError, match=r"wrong MD5"):
        DATASETS["mnist"].download(tmp_path / "mnist")
    assert asked == [1000]


def test_nothing_is_decompressed_before_its_checksum_is_right(
    small_mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gzip bomb in place of a file, on the mirror or on disk, is never opened."""
    DATASETS["mnist"].download(tmp_path / "mnist")
    monkeypatch.setattr(gzip, "decompress", lambda content: pytest.fail("decompressed"))
    bomb = gzip.compress(bytes(10**6))
    (tmp_path / "mnist/t10k-images-idx3-ubyte.gz").write_bytes(bomb)
    with pytest.raises(InputError, match=r"t10k-images-idx3-ubyte.gz: corrupted \(wrong MD5\)"):
        load_split("mnist", tmp_path, "test")
    for path in small_mirror.iterdir():
        path.write_bytes(bomb)
    with pytest.raises(InputError, match="wrong MD5"):
        DATASETS["mnist"].download(tmp_path / "again/mnist")


def test_checksums_are_torchvisions() -> None:
    """The list written out in our code is theirs."""
    from torchvision.datasets import MNIST

    assert dict(MNIST.resources) == mnist._MNIST_MD5


@pytest.mark.skipif(not CANONICAL.is_dir(), reason="the canonical files are not at hand")
def test_canonical_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """60,000 / 10,000 with the well-known mean."""
    monkeypatch.setenv(MIRROR_VARIABLE, f"file://{CANONICAL}")
    DATASETS["mnist"].download(tmp_path / "mnist")
    train, test = (load_split("mnist", tmp_path, split) for split in ("train", "test"))
    assert (len(train.labels), len(test.labels)) == (60000, DATASETS["mnist"].num_test)
    assert train.images.mean() / 255 == pytest.approx(0.1307, abs=1e-4)
