"""Is there room on the disk? `python -m ldmiss_pipeline.running.preflight` says what the grid of params.yaml needs before it runs.

Counted are the results in the workspace and their copies in DVC's cache, minus what is there already, the largest
checkpoint, and the second copy of a file while it is replaced. `ldmiss_pipeline.running.sizes` has the bounds. The runner does the same
for one item. Memory is not judged, only told.
"""

import configparser
import os
import shutil
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ldmiss.errors import InputError
from ldmiss_pipeline.artifacts.json_files import load_json
from ldmiss_pipeline.artifacts.paths import CHECKPOINTS
from ldmiss_pipeline.config import params as params_module
from ldmiss_pipeline.config.registry import STAGES
from ldmiss_pipeline.running.lockfile import dvc_hash, load_lock
from ldmiss_pipeline.running.pipeline import Pipeline, Work, files_in
from ldmiss_pipeline.running.sizes import Sizes

if TYPE_CHECKING:
    from ldmiss_pipeline.config.schema import Params

CHECK_VARIABLE = "LDMISS_DISK_CHECK"
"""Environment variable that switches the refusal off, with the value `off`."""
MEASURED = Path("benchmarks/results/memory.json")


@dataclass
class Row:
    """What the items of a stage need: how many there are, how many of them are up to date, and bytes of the others."""

    items: int = 0
    done: int = 0
    workspace: int = 0
    cache: int = 0


@dataclass
class GridNeeds:
    """What a whole grid needs.

    Attributes:
        rows: by stage.
        temporary: bytes of the largest checkpoint and file being replaced, which are there for a time.
        folders: where the bytes are written -> how many.
        unknown: items without an estimate.
    """

    rows: dict[str, Row] = field(default_factory=lambda: defaultdict(Row))
    temporary: int = 0
    folders: dict[Path, int] = field(default_factory=lambda: defaultdict(int))
    unknown: list[str] = field(default_factory=list)


def main() -> int:
    """Print the table; exit status 1 where the room is not there."""
    try:
        params, document = params_module.load()
        needs = grid_needs(params, document)
        print(as_text(needs), end="")
        for line in [*expected_memory(params), *refuse_full(needs.folders)]:
            print(line)
    except InputError as error:
        print(f"error: preflight: {error}", file=sys.stderr)
        return 1
    return 0


def grid_needs(params: "Params", document: dict[str, Any]) -> GridNeeds:
    """What the grid of the params needs beyond what is there."""
    pipeline, sizes, current, cache = Pipeline(document), Sizes(params), UpToDate(load_lock()), cache_folder()
    needs = GridNeeds()
    for stage in STAGES:
        for item in pipeline.items(stage, pipeline.cells()):
            work = pipeline.work(stage, item)
            need = sizes.need(stage, item)
            if need is None:
                needs.unknown.append(work.label)
                continue
            row = needs.rows[stage]
            row.items += 1
            if current.check(work):
                row.done += 1
                continue
            new = max(0, need.outs - _bytes_of(work.outs))
            row.workspace += new
            row.cache += need.outs
            needs.folders[work.outs[0].parent] += new
            needs.temporary = max(needs.temporary, need.checkpoint + need.largest)
            if cache is not None:
                needs.folders[cache] += need.outs
    needs.folders[CHECKPOINTS] += needs.temporary
    return needs


def check_space(work: Work, params: "Params", *, cached: bool) -> None:
    """Refuse to start an item that would fill the disk.

    Args:
        work: the item.
        params: the document.
        cached: whether DVC will copy the results to its cache.

    Raises:
        InputError: names the folder, what is needed and what is free.
    """
    need = Sizes(params).need(work.stage, work.item)
    if need is None:
        return
    checkpoints = [path for path in CHECKPOINTS.glob(f"{work.label}-*") if path.is_dir()]
    folders = {
        work.outs[0].parent: max(0, need.outs - _bytes_of(work.outs)) + need.largest,
        CHECKPOINTS: max(0, need.checkpoint - _bytes_of(checkpoints)),
    }
    if cached and (cache := cache_folder()) is not None:
        folders[cache] = need.outs
    refuse_full(folders)


class UpToDate:
    """Which items DVC will not run again, as far as can be told without hashing data.

    An item is up to date where `dvc.lock` has it with the same params, its code has the recorded hashes, its outs are
    there, and the items that it depends on are up to date.
    """

    def __init__(self, lock: dict[str, Any]) -> None:
        self._lock = lock
        self._outdated: set[Path] = set()
        self._hashes: dict[Path, str] = {}

    def check(self, work: Work) -> bool:
        """Whether an item is; to be asked in the order of the pipeline."""
        entry = self._lock.get(work.label, {})
        recorded = entry.get("params", {}).get(str(params_module.PARAMS_FILE), {})
        is_current = (
            recorded == work.params
            and all(out.exists() for out in work.outs)
            and all(self._unchanged(dep) for dep in entry.get("deps", []))
            and not any(made == dep or dep in made.parents for made in self._outdated for dep in work.deps)
        )
        if not is_current:
            self._outdated |= set(work.outs)
        return is_current

    def _unchanged(self, dep: dict[str, Any]) -> bool:
        path = Path(dep["path"])
        if path.suffix != ".py":
            return path.exists()
        if path not in self._hashes:
            self._hashes[path] = dvc_hash(path) if path.is_file() else ""
        return self._hashes[path] == dep.get("md5")


def cache_folder() -> Path | None:
    """DVC's cache as the project configures it; None where this is no project of DVC's."""
    root = Path(".dvc")
    if not root.is_dir():
        return None
    config = configparser.ConfigParser()
    config.read([root / "config", root / "config.local"])
    return root / config.get("cache", "dir", fallback="cache")


def refuse_full(folders: dict[Path, int]) -> list[str]:
    """A line for each disk on which bytes are needed.

    Args:
        folders: folder (it need not exist yet) -> bytes that will be written there. Those on one disk are added up.

    Raises:
        InputError: a disk has less free than needed, unless the environment says not to mind.
    """
    disks: dict[int, tuple[Path, int]] = {}
    for folder, needed in {Path(): 0, **folders}.items():  # the workspace first: its disk is named after it
        place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
        device = place.stat().st_dev
        first, before = disks.get(device, (place, 0))
        disks[device] = first, before + needed
    lines = []
    for place, needed in disks.values():
        free = shutil.disk_usage(place).free
        if needed > free and os.environ.get(CHECK_VARIABLE) != "off":
            raise InputError(
                f"{place}: {megabytes(needed)} are needed at most, {megabytes(free)} are free; free some "
                f"(or set {CHECK_VARIABLE}=off to try it all the same)"
            )
        lines.append(f"{place}: {megabytes(needed)} needed at most, {megabytes(free)} free")
    return lines


def as_text(needs: GridNeeds) -> str:
    """The table: a line per stage, and what is there for a time."""
    lines = [f"{'stage':18} {'items':>6} {'to do':>6} {'workspace':>12} {'cache':>12}"]
    for stage, row in needs.rows.items():
        sizes = f"{megabytes(row.workspace):>12} {megabytes(row.cache):>12}"
        lines.append(f"{stage:18} {row.items:6} {row.items - row.done:6} {sizes}")
    lines.append(f"largest checkpoint, and file being replaced: {megabytes(needs.temporary)}")
    if needs.unknown:
        lines.append(
            f"not counted (src/ldmiss_pipeline/running/sizes.py does not know them): {', '.join(needs.unknown)}"
        )
    return "\n".join(lines) + "\n"


def expected_memory(params: "Params") -> list[str]:
    """The largest peak that was measured at the paper's sizes, where those are the ones of the params."""
    if params.profile != "paper" or not MEASURED.is_file():
        return []
    rows = load_json(MEASURED)["rows"]
    peaks = {dtype: max((row for row in rows if row["dtype"] == dtype), key=lambda row: row["peak_memory_mb"])
             for dtype in dict.fromkeys(row["dtype"] for row in rows)}  # fmt: skip
    how = "measured with one stage and one chunk at a time"
    return [
        f"memory on a CPU in {dtype}, {how}: {row['peak_memory_mb']} MB at most ({row['what']})"
        for dtype, row in peaks.items()
    ]


def megabytes(size: int) -> str:
    """In MB, or GB where it is many."""
    return f"{size / 1e9:.1f} GB" if size >= 1e10 else f"{size / 1e6:.1f} MB"


def _bytes_of(paths: list[Path]) -> int:
    return sum(file.stat().st_size for file in files_in([path for path in paths if path.exists()]))


if __name__ == "__main__":
    sys.exit(main())
