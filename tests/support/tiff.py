"""TIFF files that Pillow does not write: big-endian, planar, signed bytes, premultiplied alpha."""

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SAMPLE_FORMATS = {"u": 1, "i": 2, "f": 3}


def tiff(
    pixels: NDArray[Any],
    *,
    big_endian: bool = False,
    deflated: bool = False,
    planar: bool = False,
    extra: int | None = None,
) -> bytes:
    """(H, W) or (H, W, C) as a TIFF of one strip (or one a channel); `extra` is the tag ExtraSamples."""
    order = ">" if big_endian else "<"
    height, width, *channels = pixels.shape
    num = channels[0] if channels else 1
    parts = list(np.moveaxis(pixels, -1, 0)) if planar else [pixels]
    strips = [part.astype(pixels.dtype.newbyteorder(order)).tobytes() for part in parts]
    strips = [zlib.compress(strip) for strip in strips] if deflated else strips
    offsets = [8 + sum(map(len, strips[:index])) for index in range(len(strips))]
    entries: list[tuple[int, str, list[int]]] = [
        (256, "I", [width]), (257, "I", [height]), (258, "H", [8 * pixels.dtype.itemsize] * num),
        (259, "H", [8 if deflated else 1]), (262, "H", [2 if num >= 3 else 1]), (273, "I", offsets), (277, "H", [num]),
        (278, "I", [height]), (279, "I", [len(strip) for strip in strips]), (284, "H", [2 if planar else 1]),
        *([] if extra is None else [(338, "H", [extra])]), (339, "H", [_SAMPLE_FORMATS[pixels.dtype.kind]] * num),
    ]  # fmt: skip
    start = 8 + sum(map(len, strips))
    beyond = start + 2 + 12 * len(entries) + 4
    directory, values = struct.pack(f"{order}H", len(entries)), b""
    for tag, kind, numbers in entries:
        packed = struct.pack(f"{order}{len(numbers)}{kind}", *numbers)
        directory += struct.pack(f"{order}HHI", tag, {"H": 3, "I": 4}[kind], len(numbers))
        if len(packed) <= 4:
            directory += packed.ljust(4, b"\0")
        else:
            directory += struct.pack(f"{order}I", beyond + len(values))
            values += packed
    head = (b"MM" if big_endian else b"II") + struct.pack(f"{order}HI", 42, start)
    return head + b"".join(strips) + directory + struct.pack(f"{order}I", 0) + values
