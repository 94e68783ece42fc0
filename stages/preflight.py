"""Is there room on the disk? `python -m stages.preflight` says what the grid of params.yaml needs before it runs.

Counted are the results in the workspace and their copies in DVC's cache, minus what is there already, the largest
checkpoint, and the second copy of a file while it is replaced. `stages.sizes` has the bounds. The runner does the same
for one item. Memory is not judged, only told.
"""

import configparser
import os
import shutil
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ldmiss.errors import InputError
from stages import params as params_module
from stages.io import load_json
from stages.paths import CHECKPOINTS
from stages.provenance import dvc_hash, load_lock
from stages.sizes import Need, Sizes
from stages.table import STAGES
from stages.work import Pipeline, Work, files_in

if TYPE_CHECKING:
    from stages.schema import Params

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


def main() -> int:
    """Print the table; exit status 1 where the room is not there."""
    try:
        params, document = params_module.load()
        rows, temporary, unknown = grid_needs(params, document)
        print(as_text(rows, temporary), end="")
        for stage in unknown:
            print(f"not counted: {stage} (stages/sizes.py does not know it)")
        for line in expected_memory(params):
            print(line)
        needs = {Path(): sum(row.workspace for row in rows.values()) + temporary}
        if (cache := cache_folder()) is not None:
            needs[cache] = sum(row.cache for row in rows.values())
        for line in refuse_full(needs):
            print(line)
    except InputError as error:
        print(f"error: preflight: {error}", file=sys.stderr)
        return 1
    return 0


def grid_needs(params: "Params", document: dict[str, Any]) -> tuple[dict[str, Row], int, list[str]]:
    """What the whole grid needs.

    Returns:
        rows by stage; bytes of the largest checkpoint and file that are there for a time; stages without an estimate.
    """
    pipeline, sizes, lock = Pipeline(document), Sizes(params), load_lock()
    current = UpToDate(lock)
    rows: dict[str, Row] = defaultdict(Row)
    temporary, unknown = 0, []
    for stage in STAGES:
        for item in pipeline.items(stage, pipeline.cells()):
            work = pipeline.work(stage, item)
            need = sizes.need(stage, item)
            if need is None:
                unknown.append(work.label)
                continue
            rows[stage].items += 1
            if current.check(work):
                rows[stage].done += 1
                continue
            rows[stage].workspace += max(0, need.outs - _bytes_of(work.outs))
            rows[stage].cache += need.outs
            temporary = max(temporary, need.checkpoint + need.largest)
    return dict(rows), temporary, unknown


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
    needs = {Path(): _remaining(need, work, checkpoints)}
    if cached and (cache := cache_folder()) is not None:
        needs[cache] = need.outs
    refuse_full(needs)


def _remaining(need: Need, work: Work, checkpoints: list[Path]) -> int:
    outs = max(0, need.outs - _bytes_of(work.outs))
    return outs + max(0, need.checkpoint - _bytes_of(checkpoints)) + need.largest


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


def refuse_full(needs: dict[Path, int]) -> list[str]:
    """A line for each disk on which bytes are needed.

    Args:
        needs: folder (it need not exist yet) -> bytes that will be written there. Folders on one disk are added up.

    Raises:
        InputError: a disk has less free than needed, unless the environment says not to mind.
    """
    disks: dict[int, tuple[Path, int]] = {}
    for folder, needed in needs.items():
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


def as_text(rows: dict[str, Row], temporary: int) -> str:
    """The table: a line per stage, and what is there for a time."""
    lines = [f"{'stage':18} {'items':>6} {'to do':>6} {'workspace':>12} {'cache':>12}"]
    for stage, row in rows.items():
        todo = row.items - row.done
        lines.append(f"{stage:18} {row.items:6} {todo:6} {megabytes(row.workspace):>12} {megabytes(row.cache):>12}")
    lines.append(f"{'largest checkpoint and file being replaced':>33} {megabytes(temporary):>11}")
    return "\n".join(lines) + "\n"


def expected_memory(params: "Params") -> list[str]:
    """The largest peak that was measured at the paper's sizes, where those are the ones of the params."""
    if params.profile != "paper" or not MEASURED.is_file():
        return []
    rows = load_json(MEASURED)["rows"]
    peaks = {dtype: max((row for row in rows if row["dtype"] == dtype), key=lambda row: row["peak_memory_mb"])
             for dtype in dict.fromkeys(row["dtype"] for row in rows)}  # fmt: skip
    return [
        f"memory on a CPU in {dtype}, measured: {row['peak_memory_mb']} MB at most ({row['what']})"
        for dtype, row in peaks.items()
    ]


def megabytes(size: int) -> str:
    """In MB, or GB where it is many."""
    return f"{size / 1e9:.1f} GB" if size >= 1e10 else f"{size / 1e6:.1f} MB"


def _bytes_of(paths: list[Path]) -> int:
    return sum(file.stat().st_size for file in files_in([path for path in paths if path.exists()]))


if __name__ == "__main__":
    sys.exit(main())
