"""Folders of images: what is read exactly, what would be changed without a word and so is refused."""

import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from support.own_images import random_observed, random_values, refused, save_image
from support.tiff import tiff

from ldmiss.errors import InputError
from ldmiss.files.images import read_images

GREY = random_values((9, 11), "uint8")
RGB = random_values((9, 11, 3), "uint8")


def opaque(pixels: NDArray[Any], observed: NDArray[np.bool_]) -> NDArray[Any]:
    """Pixels with an alpha channel, 255 where they are observed."""
    channels = pixels[..., None] if pixels.ndim == 2 else pixels
    return np.concatenate([channels, 255 * observed[..., None].astype(np.uint8)], axis=2)


@pytest.mark.parametrize(
    ("name", "dtype", "channels", "options"),
    [
        ("a.png", "uint8", 1, {}), ("a.png", "uint8", 3, {}), ("a.png", "uint16", 1, {}), ("a.PNG", "uint8", 1, {}),
        *(
            ("a.tif", dtype, channels, {"compression": compression})
            for dtype, channels in (("uint8", 1), ("uint8", 3), ("uint16", 1), ("int32", 1), ("float32", 1))
            for compression in ("raw", "tiff_lzw", "tiff_deflate", "packbits")
        ),
    ],
)  # fmt: skip
def test_every_kind_is_read_bit_for_bit(
    name: str, dtype: str, channels: int, options: dict[str, str], tmp_path: Path
) -> None:
    """8 and 16 bits, integers and floats (NaN is missing), grey and RGB, compressed or not."""
    pixels = random_values((9, 11, channels), dtype)
    if dtype == "float32":
        pixels[0, 0] = np.nan
    save_image(tmp_path / name, pixels if channels > 1 else pixels[..., 0], **options)
    images = read_images(tmp_path)
    assert images.values.dtype == dtype
    assert images.values.tobytes() == np.moveaxis(pixels, 2, 0).tobytes()
    assert images.observed.sum() == images.observed.size - (dtype == "float32")
    assert images.names == ["a"]


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("deflated", [False, True])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize(
    ("dtype", "channels"),
    [(dtype, 1) for dtype in ("u1", "i1", "u2", "i2", "u4", "i4", "f2", "f4", "f8")]
    + [(dtype, 3) for dtype in ("u1", "u2", "f4")],
)
def test_a_tiff_is_read_exactly_or_refused(
    dtype: str, channels: int, planar: bool, deflated: bool, big_endian: bool, tmp_path: Path
) -> None:
    """Pillow itself takes signed bytes for unsigned, keeps 8 bits of 16, and mixes up compressed big-endian values."""
    pixels = random_values((9, 11, channels), dtype)
    planar_file = planar and channels > 1
    content = tiff(
        pixels if channels > 1 else pixels[..., 0], big_endian=big_endian, deflated=deflated, planar=planar_file
    )
    (tmp_path / "a.tif").write_bytes(content)
    try:
        values = read_images(tmp_path).values
    except InputError:
        usual = dtype in ("u1", "u2", "i4", "f4") and channels == 1 and not (big_endian and deflated)
        assert not usual
    else:
        assert np.array_equal(values[0], np.moveaxis(pixels, 2, 0))


def test_images_are_in_the_order_of_their_names(tmp_path: Path) -> None:
    """Sorted as text, without the suffixes; hidden files are not looked at."""
    for name, add in (("img2.png", 0), ("img10.tif", 1), ("img1.TIFF", 2), ("img1-b.png", 3)):
        save_image(tmp_path / name, GREY // 2 + np.uint8(add))
    (tmp_path / ".DS_Store").write_bytes(b"x")
    images = read_images(tmp_path)
    assert images.names == ["img1", "img1-b", "img10", "img2"]
    assert (images.values[:, 0, 0, 0] - GREY[0, 0] // 2).tolist() == [2, 3, 1, 0]
    assert images.layout.suffix == ".png"


@pytest.mark.parametrize("pixels", [GREY, RGB])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_alpha_0_is_missing(pixels: NDArray[Any], suffix: str, tmp_path: Path) -> None:
    """In all channels; the values below are read as they are."""
    observed = random_observed((9, 11))
    save_image(tmp_path / f"a{suffix}", opaque(pixels, observed))
    images = read_images(tmp_path)
    assert np.array_equal(images.values[0], np.moveaxis(np.atleast_3d(pixels), 2, 0))
    assert np.array_equal(images.observed[0], np.broadcast_to(observed, images.values.shape[1:]))
    assert images.layout.alpha
    assert images.layout.suffix == suffix


@pytest.mark.parametrize("mask", ["observed", "missing"])
@pytest.mark.parametrize("kind", ["bool", "uint8", "uint16", "float32"])
def test_masks_of_the_same_names(mask: str, kind: str, tmp_path: Path) -> None:
    """In a folder beside the images, of either polarity and any kind, whatever else lies there."""
    observed = [random_observed((9, 11), seed) for seed in range(3)]
    for index, known in enumerate(observed):
        save_image(tmp_path / f"images/{index}.jpg", RGB)
        marked = known == (mask == "observed")
        pixels = marked if kind == "bool" else np.where(marked, 200, 0).astype(kind)
        save_image(tmp_path / f"masks/{index}{'.tif' if kind == 'float32' else '.png'}", pixels)
    (tmp_path / "readme.txt").write_text("not looked at")
    images = read_images(tmp_path, mask=mask)
    assert np.array_equal(images.observed, np.repeat(np.array(observed)[:, None], 3, axis=1))
    assert images.layout.suffix == ".png"
    assert "no word on what they mean" in refused(tmp_path)


def test_a_mask_and_alpha_and_a_missing_value_together(tmp_path: Path) -> None:
    """Each of them takes away."""
    by_alpha, by_mask = random_observed((9, 11), 1), random_observed((9, 11), 2)
    save_image(tmp_path / "images/a.png", opaque(GREY, by_alpha))
    save_image(tmp_path / "masks/a.png", by_mask)
    images = read_images(tmp_path, mask="observed", missing_value=int(GREY[3, 4]))
    assert np.array_equal(images.observed[0, 0], by_alpha & by_mask & (GREY[3, 4] != GREY))


def png(bits: int, colour: int, row_bytes: int) -> bytes:
    """A PNG of 11 x 9 zeros."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 11, 9, bits, colour, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(9 * (1 + row_bytes)))) + chunk(b"IEND", b"")
    )


CHANGED_BY_PILLOW = {
    "16 bits RGB": ("a.png", png(16, 2, 66)),
    "16 bits RGBA": ("a.png", png(16, 6, 88)),
    "16 bits grey and alpha": ("a.png", png(16, 4, 44)),
    "4 bits grey": ("a.png", png(4, 0, 6)),
    "1 bit grey": ("a.png", png(1, 0, 2)),
    "premultiplied alpha": ("a.tif", tiff(random_values((9, 11, 4), "uint8"), extra=1)),
    "alpha that is none": ("a.tif", tiff(random_values((9, 11, 4), "uint8"), extra=0)),
}


@pytest.mark.parametrize("name", CHANGED_BY_PILLOW)
def test_what_pillow_would_change_is_refused(name: str, tmp_path: Path) -> None:
    """Pillow reads these without a word, at other values."""
    file, content = CHANGED_BY_PILLOW[name]
    (tmp_path / file).write_bytes(content)
    with Image.open(tmp_path / file) as image:
        image.load()
    assert "keep others as .npz or .npy" in refused(tmp_path, names=file)


@pytest.mark.parametrize(("mode", "name"), [("P", "a.png"), ("CMYK", "a.jpg"), ("CMYK", "a.tif"), ("LAB", "a.tif")])
def test_other_colours_are_refused(mode: str, name: str, tmp_path: Path) -> None:
    """Palettes and spaces other than RGB."""
    image = Image.fromarray(RGB)
    (Image.new("LAB", image.size) if mode == "LAB" else image.convert(mode)).save(tmp_path / name)
    assert f"({mode} to Pillow)" in refused(tmp_path, names=name)


def test_several_pages_or_a_transparent_colour_are_refused(tmp_path: Path) -> None:
    """Stacks, animations, and PNG's second way to be transparent."""
    more = {"save_all": True, "append_images": [Image.fromarray(GREY // 2)]}
    for name, options, words in (
        ("a.tif", more, "several pages"), ("a.png", more, "several pages"),
        ("a.png", {"transparency": 3}, "a transparent colour"),
    ):  # fmt: skip
        save_image(tmp_path / name, GREY, **options)
        assert words in refused(tmp_path, names=name)
        (tmp_path / name).unlink()


def test_images_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    """The first two that differ are named, with sizes and kinds."""
    save_image(tmp_path / "a.png", GREY)
    save_image(tmp_path / "b.png", GREY)
    for other, words in (
        (GREY[:8], "8 x 11 with 1 channel of uint8 in c.png"),
        (RGB, "9 x 11 with 3 channels of uint8 in c.png"),
        (GREY.astype(np.uint16), "9 x 11 with 1 channel of uint16 in c.png"),
    ):
        save_image(tmp_path / "c.png", other)
        assert f"9 x 11 with 1 channel of uint8 in a.png, {words}" in refused(tmp_path)


def test_folders_with_something_else_are_refused(tmp_path: Path) -> None:
    """Nothing, other files or folders, small images, two of one name, masks without their image."""
    assert "no image" in refused(tmp_path)
    save_image(tmp_path / "a.png", GREY)
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "masks").mkdir()
    assert "2 entries that are no images, the first 'masks'" in refused(tmp_path)
    (tmp_path / "notes.txt").unlink()
    (tmp_path / "masks").rmdir()
    save_image(tmp_path / "a.tif", GREY)
    assert "both a." in refused(tmp_path)
    (tmp_path / "a.tif").unlink()
    save_image(tmp_path / "a.png", GREY[:7])
    assert "7 x 11; allowed: at least 8 x 8" in refused(tmp_path, names="a.png")


def test_masks_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    """Not one for each image, JPEG or soft values, other sizes, soft alpha, and a missing value in JPEG."""
    save_image(tmp_path / "images/a.png", GREY)
    save_image(tmp_path / "masks/b.png", GREY > 9)
    assert "2 names in only one of images and masks, the first 'a'" in refused(tmp_path, mask="observed")
    (tmp_path / "masks/b.png").unlink()
    save_image(tmp_path / "masks/a.jpg", GREY)
    assert "JPEG, which blurs the edges of a mask" in refused(tmp_path, names="a.jpg", mask="observed")
    (tmp_path / "masks/a.jpg").unlink()
    save_image(tmp_path / "masks/a.png", GREY)
    assert "allowed: 0 and one other (threshold)" in refused(tmp_path, mask="observed")
    save_image(tmp_path / "masks/a.png", RGB // 128)
    assert "masks 1x3x9x11 for images 1x1x9x11" in refused(tmp_path, mask="observed")
    save_image(tmp_path / "images/a.png", opaque(GREY, GREY > 9) // 2)
    save_image(tmp_path / "masks/a.png", GREY > 9)
    assert "alpha between 0 and 255" in refused(tmp_path, names="a.png", mask="observed")
    save_image(tmp_path / "jpeg/a.jpeg", GREY)
    assert "not with JPEG" in refused(tmp_path / "jpeg", missing_value=0)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg", "lzw.tif"])
def test_damage_is_one_line(name: str, tmp_path: Path) -> None:
    """A cut or a flipped byte is refused or has changed nothing (but for formats without checksums: flips may)."""
    path = tmp_path / name
    save_image(path, random_values((16, 16), "uint8"), **({"compression": "tiff_lzw"} if name == "lzw.tif" else {}))
    content, whole = path.read_bytes(), read_images(tmp_path).values
    for offset in range(0, len(content), 3):
        path.write_bytes(content[:offset] + bytes([content[offset] ^ 0x55]) + content[offset + 1 :])
        try:
            values = read_images(tmp_path).values
            assert name != "a.png" or np.array_equal(values, whole), offset
        except InputError:
            pass
        path.write_bytes(content[:offset])
        try:
            values = read_images(tmp_path).values
            assert np.array_equal(values, whole), offset
            assert len(content) - offset <= 20, offset  # past the pixels
        except InputError:
            pass
    path.write_bytes(os.urandom(100))
    refused(tmp_path, names=name)


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    """A PNG that claims more pixels than fit into memory."""
    content = bytearray(png(8, 0, 11))
    content[16:24] = struct.pack(">II", 2**20, 2**20)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    (tmp_path / "a.png").write_bytes(content)
    assert "decompression bomb" in refused(tmp_path, names="a.png")


def test_a_suffix_that_is_not_that_of_the_file_is_refused(tmp_path: Path) -> None:
    """A JPEG by the name of a PNG would pass as a mask."""
    save_image(tmp_path / "a.png", GREY, format="JPEG")
    assert "cannot identify" in refused(tmp_path, names="a.png")


def test_more_than_fits_into_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first image, whose size all have."""
    save_image(tmp_path / "a.png", GREY)
    save_image(tmp_path / "b.png", GREY)
    monkeypatch.setattr("ldmiss.files.image_folder.MAX_ARRAY_BYTES", 2 * GREY.size - 1)
    assert "more than 197 bytes of images" in refused(tmp_path)


@pytest.mark.filterwarnings("error")
def test_odd_metadata_are_no_matter(tmp_path: Path) -> None:
    """Pillow's warnings of them would stand among the stage's own lines."""
    content = tiff(GREY)
    last = content.index(struct.pack("<HHI", 339, 3, 1))
    astray = struct.pack("<HHII", 40000, 7, 100, 10**6)  # a tag whose content would lie beyond the end of the file
    (tmp_path / "a.tif").write_bytes(content[:last] + astray + content[last + 12 :])
    assert np.array_equal(read_images(tmp_path).values[0, 0], GREY)
