"""A worker's own clone of the project, in a temporary folder that goes away with the worker."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ldmiss.errors import InputError, one_line
from stages.grid.remote import load_remote, save_remote

_PREFIX = "ldmiss-worker-"
_LOCK = "lock"


class Clone:
    """A clone with its own DVC cache.

    Attributes:
        folder: of the project.
        environment: for commands there: its code is imported, not that of another copy, and DVC shares no state.
    """

    def __init__(self, top: Path) -> None:
        self.folder = top / "project"
        self.environment = project_environment(self.folder) | {"DVC_SITE_CACHE_DIR": str(top / "site")}


def project_environment(folder: Path) -> dict[str, str]:
    """Of commands in a copy of the project: its own code, and the programs of this Python."""
    return os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONPATH": f"{folder}{os.pathsep}{folder / 'src'}",
        "DVC_NO_ANALYTICS": "1",
    }


@contextmanager
def cloned(origin: str, commit: str, params: Path, remote: Path, checkpoints: Path | None) -> Iterator[Clone]:
    """A clone of a commit with these params and this remote; removed at the end.

    Args:
        origin: URL or path that git clones.
        commit: its full hash.
        params: file that becomes params.yaml.
        remote: file of `stages.grid.remote.save_remote`.
        checkpoints: folder that outlives the clone, for the checkpoints of its stages; None: they go with it.

    Raises:
        InputError: the origin cannot be cloned, or has no such commit.
    """
    remove_abandoned()
    top = Path(tempfile.mkdtemp(prefix=_PREFIX))  # mode 0700
    try:
        with FileLock(top / _LOCK, timeout=0):
            clone = Clone(top)
            _git("clone", "--quiet", "--no-checkout", origin, str(clone.folder))
            _git("-C", str(clone.folder), "checkout", "--quiet", "--detach", commit)
            shutil.copyfile(params, clone.folder / "params.yaml")
            save_remote(clone.folder / ".dvc/config.local", *load_remote(remote))
            if checkpoints is not None:
                checkpoints.mkdir(parents=True, exist_ok=True)
                (clone.folder / "ckpt").symlink_to(checkpoints.resolve())
            yield clone
    finally:
        shutil.rmtree(top, ignore_errors=True)


def remove_abandoned() -> None:
    """Remove the clones of workers that were killed on this machine: nobody holds their lock."""
    for top in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        if top.stat().st_uid != os.getuid() or not (top / _LOCK).exists():
            continue
        try:
            with FileLock(top / _LOCK, timeout=0):
                shutil.rmtree(top, ignore_errors=True)
        except Timeout:
            continue


def _git(*arguments: str) -> None:
    command = ["git", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - our own command
    if done.returncode != 0:
        raise InputError(f"git {arguments[0]}: {one_line(done.stderr)}")
