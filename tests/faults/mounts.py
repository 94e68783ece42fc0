"""Small file systems in memory, to fill or to make read-only; they need root."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

ROOM = "64m"
"""Enough for everything here."""


class Mounted:
    """A file system of its own at a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def remount(self, options: str) -> None:
        """Change its size, or whether it can be written to."""
        subprocess.run(["mount", "-o", f"remount,{options}", str(self.folder)], check=True)

    def fill(self, kilobytes_left: int) -> None:
        """Fill it but for so many kilobytes."""
        free = shutil.disk_usage(self.folder).free // 1024 - kilobytes_left
        with (self.folder / "ballast").open("wb") as file:
            file.write(bytes(1024 * max(free, 0)))

    def free(self) -> None:
        """Make room again."""
        (self.folder / "ballast").unlink()


@contextmanager
def mounted(folder: Path) -> Iterator[Mounted]:
    """A file system at `folder`, with what was in the folder; unmounted at the end."""
    with TemporaryDirectory(dir=folder.parent.parent) as place:
        kept = Path(place, "kept")
        if folder.exists():
            shutil.copytree(folder, kept)
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(folder)], check=True)
        try:
            if kept.exists():
                shutil.copytree(kept, folder, dirs_exist_ok=True)
            yield Mounted(folder)
        finally:
            subprocess.run(["umount", str(folder)], check=True)


@cache
def why_not() -> str | None:
    """Why nothing can be mounted here; None where it can."""
    if os.geteuid() != 0:
        return "needs root"
    with TemporaryDirectory() as folder:
        command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder]
        if shutil.which("mount") is None or subprocess.run(command, check=False, capture_output=True).returncode != 0:
            return "mounting is not allowed here"
        subprocess.run(["umount", folder], check=True)
    return None
