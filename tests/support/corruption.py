"""What happens to files: cut short, bits flipped, parts zeroed, garbage behind them, another file in their place."""

from pathlib import Path

from hypothesis import strategies as st

Change = tuple[str, int, bytes]

_OFFSETS = st.integers(0, 2**20) | st.integers(0, 120) | st.integers(-120, -1)
"""Anywhere (counted around), in the header, or at the end, where zip has its directory."""
_ONE_BIT = st.integers(0, 7).map(lambda bit: bytes([1 << bit]))

CHANGES: st.SearchStrategy[list[Change]] = st.one_of(
    st.lists(st.tuples(st.just("flip"), _OFFSETS, _ONE_BIT), min_size=1, max_size=1),
    st.lists(st.tuples(st.just("flip"), _OFFSETS, _ONE_BIT), min_size=2, max_size=20),
    st.lists(
        st.tuples(st.sampled_from(["cut", "zero", "replace", "insert", "remove", "append"]), _OFFSETS,
                  st.binary(min_size=1, max_size=600)),
        min_size=1, max_size=2,
    ),
)  # fmt: skip
"""One flipped bit, a few, or coarser damage: (what, where, with what or over which length)."""


def corrupted(content: bytes, changes: list[Change]) -> bytes:
    """The content after all changes."""
    changed = bytearray(content)
    for what, offset, data in changes:
        at = offset % len(changed) if changed else 0
        if what == "flip" and changed:
            changed[at] ^= data[0]
        elif what == "cut":
            del changed[at:]
        elif what == "zero":
            changed[at : at + len(data)] = bytes(len(changed[at : at + len(data)]))
        elif what == "replace":
            changed[at : at + len(data)] = data
        elif what == "insert":
            changed[at:at] = data
        elif what == "remove":
            del changed[at : at + len(data)]
        elif what == "append":
            changed += data * (1 + offset % 1000)
    return bytes(changed)


class Damaged:
    """A file with other content for the time of a `with` block."""

    def __init__(self, path: Path, content: bytes) -> None:
        self._path, self._content = path, content

    def __enter__(self) -> None:
        self._before = self._path.read_bytes()
        self._path.write_bytes(self._content)

    def __exit__(self, *error: object) -> None:
        self._path.write_bytes(self._before)
