"""Who is at work on an item in this folder: the runner's lock of it, and DVC's list of who reads and writes what."""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from ldmiss.errors import InputError
from ldmiss_pipeline.artifacts.paths import RUNS

DVC_LOCKS = Path(".dvc/tmp/rwlock")
STARTED_BY = "LDMISS_STARTED_BY"
"""The environment variable by which whoever starts an item knows its start from that of another."""
_PROBE_SECONDS = 0.5  # of waiting: `is_running` holds the lock for a moment, too


@contextmanager
def only_process(label: str) -> Iterator[None]:
    """Hold the item's lock, which the system releases however the process ends; its file stays.

    Raises:
        InputError: another process holds it.
    """
    path = _lock_file(label)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, timeout=_PROBE_SECONDS)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(f"{path}: another process is running {label} in this folder; wait for it") from None
    try:
        _start_file(label).write_text(os.environ.get(STARTED_BY, ""))  # a kill in between leaves nobody's name
        yield
    finally:
        lock.release()


def is_running(label: str) -> bool:
    """Whether a process holds the item's lock."""
    path = _lock_file(label)
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True


def last_starter(label: str) -> str:
    """Who last began to run the item: the value that `STARTED_BY` had there; empty for nobody who said so."""
    path = _start_file(label)
    return path.read_text() if path.exists() else ""


def dvcs_at_work(*, reads: Iterable[Path], writes: Iterable[Path] = ()) -> list[str]:
    """Numbers of the DVC processes that write any of these paths, or read what is to be written.

    DVC notes them by number only; after a restart the number may be that of any other process, and is left out.
    """
    try:
        noted = json.loads(DVC_LOCKS.read_text())
    except (OSError, ValueError):  # none yet, or just being rewritten
        return []
    written = [path.absolute() for path in writes]
    touched = [*written, *(path.absolute() for path in reads)]
    users = [(user, Path(path), touched) for path, user in noted.get("write", {}).items()]
    users += [(user, Path(path), written) for path, many in noted.get("read", {}).items() for user in many]
    pids = {user["pid"] for user, path, wanted in users if any(_overlap(path, other) for other in wanted)}
    return [str(pid) for pid in sorted(pids) if _is_dvc(pid)]


def _lock_file(label: str) -> Path:
    return RUNS / "locks" / f"{label}.lock"


def _start_file(label: str) -> Path:
    return _lock_file(label).with_suffix(".start")


def _overlap(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)


def _is_dvc(pid: int) -> bool:
    try:
        return any(Path(part).name == "dvc" for part in psutil.Process(pid).cmdline()[:3])
    except psutil.Error:
        return False
