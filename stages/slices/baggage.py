"""What travels between machines: few zip files of limited size, in which long contents are cut into parts.

Results travel whole. Networks travel as bfloat16, without the optimiser's state: a network that has travelled is not
the trained one but the trained one rounded to 8 bits of mantissa, and its file says so (`rounded`).
"""

import re
import sys
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ldmiss.errors import InputError, one_line
from stages.io import atomic_write, load_facts, load_tensors, save_tensors
from stages.paths import CURVES
from stages.plot import load_curve
from stages.slices.workspace import TIMINGS, mark_ended
from stages.training import save_curve
from stages.work import files_in

PART_BYTES = 15 * 2**20
"""Of the contents of one zip file: 16 MiB is allowed, names and tables take some."""
TOTAL_BYTES = 62 * 2**20
"""Of all that is carried away: 64 MiB is allowed."""
MAX_WEIGHT_FILES = 4
"""Of the 8 files that are allowed; results take one or two."""
ROUNDED = Path("rounded")
"""In the workspace: the networks as they travel."""
_NETWORKS = ("unet.", "vae.", "mlp.")
"""Prefixes of what is rounded; scales, moments and the like stay as they are."""
_MEMBER = re.compile(r"([\w.@+-]+(?:/[\w.@+-]+)*)#(\d+)-(\d+)")


def write_parts(folder: Path, prefix: str, contents: Iterable[tuple[str, bytes]]) -> int:
    """Write contents as `<prefix>-<n>.zip`, replacing those that are there; the bytes they take.

    A member is named `<name>#<first byte>-<number of all bytes>`. The last file is written first: where contents were
    only added at the end, a kill in between leaves some of them twice and none cut.
    """
    parts: list[list[tuple[str, bytes]]] = []
    room = 0
    for name, content in contents:
        start = 0
        while start < len(content):
            if room == 0:
                parts.append([])
                room = PART_BYTES
            cut = content[start : start + room]
            parts[-1].append((f"{name}#{start}-{len(content)}", cut))
            start, room = start + len(cut), room - len(cut)
    written = {folder / f"{prefix}-{number}.zip": part for number, part in enumerate(parts, start=1)}
    for path, part in reversed(written.items()):
        atomic_write(path, lambda file, part=part: _write_zip(file, part))  # type: ignore[misc]
    for other in set(folder.glob(f"{prefix}-*.zip")) - set(written):
        other.unlink()
    return sum(path.stat().st_size for path in written)


def _write_zip(file: Any, members: list[tuple[str, bytes]]) -> None:
    """Stored, not packed: arrays are packed already, and weights cannot be."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content)


def read_parts(folders: Sequence[Path], prefix: str) -> dict[str, list[bytes]]:
    """Name -> the contents under it, one of each folder that has all of it; a warning for one that lacks a part.

    Raises:
        InputError: a folder that is not there, a zip file that cannot be read, or a member that is none of ours.
    """
    if absent := [str(folder) for folder in folders if not folder.is_dir()]:
        raise InputError(f"{absent[0]}: no such folder; name what slices carried away")
    found: dict[str, list[bytes]] = {}
    for folder in folders:
        cuts: dict[tuple[str, int], dict[int, bytes]] = {}
        for path in sorted(folder.glob(f"{prefix}-*.zip")):
            for name, content in _read_zip(path):
                match = _MEMBER.fullmatch(name)
                if match is None or ".." in name:
                    raise InputError(f"{path}: {name!r} is no member that a slice writes")
                cuts.setdefault((match[1], int(match[3])), {})[int(match[2])] = content
        for (name, size), of_name in cuts.items():
            content = b"".join(of_name[start] for start in sorted(of_name))
            if len(content) == size:
                found.setdefault(name, []).append(content)
            else:
                there = f"{len(content)} of its {size} bytes are in {folder}/{prefix}-*.zip"
                print(f"warning: {name} left out: {there}; a file is lost, or of another command", file=sys.stderr)
    return found


def _read_zip(path: Path) -> list[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(path) as archive:
            return [(info.filename, archive.read(info)) for info in archive.infolist()]
    except (zipfile.BadZipFile, OSError, RuntimeError, ValueError, EOFError) as error:
        raise InputError(f"{path}: corrupted, or no zip file ({one_line(error)})") from None


def result_contents(folder: Path, wanted: Callable[[Path], bool] = lambda path: True) -> list[tuple[str, bytes]]:
    """The files of a results folder, oldest first, and the timings, which change, last."""
    files = [path for path in files_in([folder]) if wanted(path)] if folder.is_dir() else []
    files.sort(key=lambda path: (path.name == TIMINGS, path.stat().st_mtime_ns, path))
    return [(path.relative_to(folder).as_posix(), path.read_bytes()) for path in files]


def unpack_results(folders: Sequence[Path], into: Path) -> None:
    """Bring the results of slices into a folder; of what came twice, the first stays. Timings are put together."""
    for name, contents in read_parts(folders, "results").items():
        content = b"\n".join(contents) if name == TIMINGS else contents[0]
        atomic_write(into / name, lambda file, content=content: file.write(content))  # type: ignore[misc]


def carry_weights(folder: Path, wanted: Sequence[Path], carried: Sequence[Path], room: int) -> list[Path]:
    """Write models as `weights-<n>.zip`, the first of those wanted that there is room for; those that lie there now.

    Those that were carried before keep their place: adding one rewrites no other.
    """
    chosen = fitting([(path, _rounded(path)) for path in wanted], room)
    ordered = [path for path in carried if path in chosen] + [path for path in chosen if path not in carried]
    if ordered != list(carried):
        write_parts(folder, "weights", ((path.as_posix(), chosen[path]) for path in ordered))
    return ordered


def fitting(contents: Iterable[tuple[Path, bytes]], room: int) -> dict[Path, bytes]:
    """The first of these models that there is room for, in bytes and in files."""
    chosen: dict[Path, bytes] = {}
    left = min(room, MAX_WEIGHT_FILES * PART_BYTES)
    for path, content in contents:
        if len(content) <= left:
            chosen[path] = content
            left -= len(content)
    return chosen


def is_rounded(path: Path) -> bool:
    """Whether a model file is one that has travelled."""
    return path.is_file() and "rounded" in load_facts(path)


def _rounded(path: Path) -> bytes:
    """A model as it travels: its networks in bfloat16, its loss curve in the facts."""
    travelling = ROUNDED / path
    if not travelling.exists() or travelling.stat().st_mtime < path.stat().st_mtime:
        facts = load_facts(path)
        tensors, facts = load_tensors(path, kind=facts["kind"])
        tensors = {name: _to(value, torch.bfloat16) if _is_network(name) else value for name, value in tensors.items()}
        facts = {**facts, "rounded": "bfloat16", "curve": load_curve(_curve_of(path))}
        save_tensors(travelling, tensors, kind=facts["kind"], facts=facts)
    return travelling.read_bytes()


def unpack_weights(folders: Sequence[Path]) -> None:
    """Make model files of networks that travelled, where there are none yet, and mark their training as ended."""
    for name, (content, *_) in read_parts(folders, "weights").items():
        path = Path(name)
        if path.exists():
            continue
        atomic_write(ROUNDED / path, lambda file, content=content: file.write(content))  # type: ignore[misc]
        tensors, facts = load_tensors(ROUNDED / path, kind=load_facts(ROUNDED / path)["kind"])
        save_tensors(path, _widened(tensors), kind=facts["kind"], facts=facts)
        save_curve(_curve_of(path), facts["curve"])
        mark_ended(facts["made_by"], facts["params"])


def _curve_of(path: Path) -> Path:
    """Of `models/<name>/<cell>.safetensors`."""
    return CURVES / f"{path.parent.name}-{path.stem}.csv"


def _widened(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: _to(value, torch.float32) if _is_network(name) else value for name, value in tensors.items()}


def _is_network(name: str) -> bool:
    return name.startswith(_NETWORKS)


def _to(value: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return value.to(dtype) if value.is_floating_point() else value
