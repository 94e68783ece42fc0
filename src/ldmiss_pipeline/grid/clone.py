"""A worker's own clone of the project, in a temporary folder that goes away with the worker."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from ldmiss.errors import InputError, one_line
from ldmiss_pipeline.artifacts.paths import CHECKPOINTS
from ldmiss_pipeline.grid.remote import load_remote, save_remote

_PREFIX = "ldmiss-worker-"
_LOCK = "lock"


def project_environment(folder: Path) -> dict[str, str]:
    """Environment of commands in a copy of the project: its own code, and the programs of this Python."""
    return os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONPATH": f"{folder}{os.pathsep}{folder / 'src'}",
        "DVC_NO_ANALYTICS": "1",
    }


@contextmanager
def cloned(origin: str, commit: str, remote: Path, checkpoints: Path | None) -> Iterator[None]:
    """Go into a new clone of a commit with this remote; it is removed at the end.

    There its own code is imported, not that of another copy, and DVC shares cache and state with nobody.

    Args:
        origin: URL or path that git clones.
        commit: its full hash.
        remote: file of `ldmiss_pipeline.grid.remote.save_remote`.
        checkpoints: folder that outlives the clone, for the checkpoints of its stages; None: they go with it.

    Raises:
        InputError: the origin cannot be cloned, or has no such commit.
    """
    remote = remote.absolute()
    checkpoints = checkpoints and checkpoints.absolute()
    remove_abandoned()
    before = Path.cwd()
    with _folder_of_ours() as top:
        try:
            folder = top / "project"
            _git("clone", "--quiet", "--no-checkout", origin, str(folder))
            os.chdir(folder)
            _git("checkout", "--quiet", "--detach", commit)
            os.environ.update(project_environment(folder), DVC_SITE_CACHE_DIR=str(top / "site"))
            save_remote(Path(".dvc/config.local"), *load_remote(remote))
            if checkpoints is not None:
                checkpoints.mkdir(parents=True, exist_ok=True)
                CHECKPOINTS.symlink_to(checkpoints)
            yield
        finally:
            os.chdir(before)
            _end_processes(top)
            shutil.rmtree(top, ignore_errors=True)
            if checkpoints is not None and checkpoints.is_dir() and not any(checkpoints.iterdir()):
                checkpoints.rmdir()


@contextmanager
def _folder_of_ours() -> Iterator[Path]:
    """A new folder whose lock we hold; it has its name only then, or another worker might take it for abandoned."""
    unnamed = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}"))  # mode 0700
    with FileLock(unnamed / _LOCK, timeout=0):
        yield unnamed.rename(unnamed.with_name(unnamed.name.removeprefix(".")))


def remove_abandoned() -> None:
    """Remove the clones of workers that were killed on this machine, and end what still works there.

    Nobody holds their lock.
    """
    for top in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        if top.stat().st_uid != os.getuid() or not (top / _LOCK).exists():
            continue
        try:
            with FileLock(top / _LOCK, timeout=0):
                _end_processes(top)
                shutil.rmtree(top, ignore_errors=True)
        except Timeout:
            continue


def _end_processes(top: Path) -> None:
    """End what still works in a clone: a stage goes on when its worker is killed."""
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and Path(process.cwd()).is_relative_to(top):
                process.kill()
        except (psutil.Error, OSError):
            continue  # gone, or another user's


def _git(*arguments: str) -> None:
    command = ["git", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - our own command
    if done.returncode != 0:
        raise InputError(f"git {arguments[0]}: {one_line(done.stderr)}")
