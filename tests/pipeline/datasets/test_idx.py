"""Sets of IDX files through mirrors, verified at every read: the canonical MNIST, and Fashion-MNIST however packed."""

import gzip
import hashlib
import struct
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
from support.imports import ROOT

from ldmiss.errors import InputError
from ldmiss_pipeline.datasets import fashion, idx, mnist
from ldmiss_pipeline.datasets.registry import DATASETS, load_split

MIRROR_VARIABLE, FASHION_VARIABLE = "LDMISS_MNIST_MIRROR", "LDMISS_FASHION_MIRROR"
CANONICAL = ROOT.parent / "shared/data/mnist"


def small_files(folder: Path) -> dict[str, bytes]:
    """The four files of a tiny set in IDX format, unpacked, by name; packed into the folder."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    files = {}
    for split, number in (("train", 6), ("t10k", 4)):
        images, labels = rng.integers(0, 256, (number, 28, 28), np.uint8), rng.integers(0, 10, number, np.uint8)
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
            files[f"{split}-{kind}-ubyte"] = header + array.tobytes()
            (folder / f"{split}-{kind}-ubyte.gz").write_bytes(gzip.compress(header + array.tobytes(), mtime=0))
    return files


@pytest.fixture
def small_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mirror with a tiny set in the canonical format, whose checksums stand in place of those of both real sets."""
    folder = tmp_path / "mirror"
    for name, content in small_files(folder).items():
        packed = f"{name}.gz"
        monkeypatch.setitem(mnist.FILES.checksums, packed, hashlib.md5((folder / packed).read_bytes()).hexdigest())
        monkeypatch.setitem(fashion.FILES.checksums, name, hashlib.sha256(content).hexdigest())
    monkeypatch.setenv(MIRROR_VARIABLE, f"file://{folder}")
    monkeypatch.setattr("torchvision.datasets.MNIST.mirrors", [])
    monkeypatch.setattr("torchvision.datasets.FashionMNIST.mirrors", [])
    monkeypatch.setattr(fashion, "DEBIAN", tmp_path / "no Debian")
    return folder


def test_mnist_from_a_mirror(small_mirror: Path, tmp_path: Path) -> None:
    """The four files are kept as they are, and read as images and labels."""
    DATASETS["mnist"].download(tmp_path / "mnist")
    assert {path.name for path in (tmp_path / "mnist").iterdir()} == {path.name for path in small_mirror.iterdir()}
    train, test = (load_split("mnist", tmp_path, split) for split in ("train", "test"))
    assert (train.images.shape, test.labels.shape) == ((6, 1, 28, 28), (4,))
    assert np.array_equal(train.images[0, 0], np.random.default_rng(0).integers(0, 256, (6, 28, 28), np.uint8)[0])


def test_images_lie_in_memory_as_a_new_array_would(small_mirror: Path, tmp_path: Path) -> None:
    """What is indexed out of them, too: another stride, even of an axis of size 1, changes the bits of convolutions."""
    DATASETS["mnist"].download(tmp_path / "mnist")
    images = load_split("mnist", tmp_path, "train").images
    for part in (images, images[np.arange(6) % 2 == 0], images[[4, 1]]):
        assert part.strides == (784, 784, 28, 1)


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
    assert load_split("mnist", tmp_path, "train").images.shape == (6, 1, 28, 28)
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
    monkeypatch.setattr(idx, "_MAX_BYTES", 1000)
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

    assert dict(MNIST.resources) == mnist.FILES.checksums


@pytest.mark.skipif(not CANONICAL.is_dir(), reason="the canonical files are not at hand")
def test_canonical_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """60,000 / 10,000 with the well-known mean."""
    monkeypatch.setenv(MIRROR_VARIABLE, f"file://{CANONICAL}")
    DATASETS["mnist"].download(tmp_path / "mnist")
    train, test = (load_split("mnist", tmp_path, split) for split in ("train", "test"))
    assert (len(train.labels), len(test.labels)) == (60000, DATASETS["mnist"].num_test)
    assert train.images.mean() / 255 == pytest.approx(0.1307, abs=1e-4)


@pytest.mark.parametrize("level", [1, 9])
def test_fashion_however_it_is_packed(
    level: int, small_mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian has packed the files anew: from any packing of the same content the same files are kept and read."""
    contents = {path.name: gzip.decompress(path.read_bytes()) for path in small_mirror.iterdir()}
    for name, content in contents.items():
        (small_mirror / name).write_bytes(gzip.compress(content, level, mtime=level))
    monkeypatch.setenv(FASHION_VARIABLE, f"file://{small_mirror}")
    DATASETS["fashion"].download(tmp_path / "fashion")
    kept = {f"{path.name}.gz": path.read_bytes() for path in (tmp_path / "fashion").iterdir()}
    assert kept == contents
    train, test = (load_split("fashion", tmp_path, split) for split in ("train", "test"))
    assert (train.images.shape, test.labels.shape) == ((6, 1, 28, 28), (4,))


def test_fashion_from_debians_package(small_mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where its folder is, and no mirror is named, it is used."""
    monkeypatch.delenv(FASHION_VARIABLE, raising=False)
    with pytest.raises(InputError, match=rf"Fashion-MNIST: .*{FASHION_VARIABLE}=file://.*dataset-fashion-mnist"):
        DATASETS["fashion"].download(tmp_path / "fashion")
    monkeypatch.setattr(fashion, "DEBIAN", small_mirror)
    DATASETS["fashion"].download(tmp_path / "fashion")
    assert len(load_split("fashion", tmp_path, "train").images) == 6


@pytest.mark.parametrize("damage", ["cut short", "another content", "no gzip"])
def test_a_corrupted_fashion_is_never_kept(
    damage: str, small_mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused by name, nothing written; the same for a file altered later."""
    monkeypatch.setenv(FASHION_VARIABLE, f"file://{small_mirror}")
    DATASETS["fashion"].download(tmp_path / "before/fashion")
    path = small_mirror / "train-images-idx3-ubyte.gz"
    content = path.read_bytes()
    damaged = {"cut short": content[:-50], "another content": gzip.compress(b"x"), "no gzip": b"<html>"}
    path.write_bytes(damaged[damage])
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte.gz could not be had") as caught:
        DATASETS["fashion"].download(tmp_path / "fashion")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "fashion").exists()
    kept = tmp_path / "before/fashion/train-images-idx3-ubyte"
    kept.write_bytes(kept.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte: corrupted \(wrong SHA-256\)"):
        load_split("fashion", tmp_path / "before", "train")


def test_no_more_is_unpacked_than_the_files_hold(
    small_mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gzip bomb in place of a file of Fashion-MNIST costs bounded memory, and is refused."""
    monkeypatch.setenv(FASHION_VARIABLE, f"file://{small_mirror}")
    for path in small_mirror.iterdir():
        path.write_bytes(gzip.compress(bytes(2 * idx._MAX_BYTES)))
    sizes = []
    verified = idx.IdxFiles._verified
    monkeypatch.setattr(
        idx.IdxFiles,
        "_verified",
        lambda self, name, content: sizes.append(len(content)) or verified(self, name, content),
    )
    with pytest.raises(InputError, match="wrong SHA-256"):
        DATASETS["fashion"].download(tmp_path / "fashion")
    assert sizes == [idx._MAX_BYTES]


# Seconds since 1970 at which the published .gz files were packed, and their MD5 by torchvision. Debian's have the same
# compressed stream under another header, without a name and a time.
PACKED = {
    "train-images-idx3-ubyte": 1504176606, "train-labels-idx1-ubyte": 1504176606,
    "t10k-images-idx3-ubyte": 1504176627, "t10k-labels-idx1-ubyte": 1504176627,
}  # fmt: skip


@pytest.mark.skipif(not fashion.DEBIAN.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed")
def test_debians_fashion_is_the_published_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the published files' header, Debian's have the MD5 that torchvision names; so our SHA-256 are theirs."""
    from torchvision.datasets import FashionMNIST

    monkeypatch.delenv(FASHION_VARIABLE, raising=False)
    DATASETS["fashion"].download(tmp_path / "fashion")
    for name, md5 in FashionMNIST.resources:
        content = (fashion.DEBIAN / name).read_bytes()
        stem = name.removesuffix(".gz")
        header = b"\x1f\x8b\x08\x08" + struct.pack("<I", PACKED[stem]) + b"\x00\x03" + stem.encode() + b"\x00"
        assert hashlib.md5(header + content[10:]).hexdigest() == md5
        assert (tmp_path / "fashion" / stem).read_bytes() == gzip.decompress(content)
    train, test = (load_split("fashion", tmp_path, split) for split in ("train", "test"))
    assert np.bincount(train.labels).tolist() == [6000] * 10
    assert np.bincount(test.labels).tolist() == [1000] * 10
    assert train.images.mean() / 255 == pytest.approx(0.2860, abs=1e-4)
