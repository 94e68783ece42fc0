"""Atomic writes: a file is written under a temporary name beside it, and then renamed.

A reader, or a run after a kill, never sees half a file.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from ldmiss.errors import InputError

TEMPORARY_SUFFIX = ".tmp"
"""Ending of temporary files, `.<name>.<pid>.tmp`; `.dvcignore` names it, so that one left by a kill changes no hash."""


def atomic_write(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Call `write` on a temporary file beside `path`, then rename it to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY_SUFFIX}")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a full disk does not say which file it was
        raise
    finally:
        temporary.unlink(missing_ok=True)


def is_temporary(path: Path) -> bool:
    """Whether a file is one that `atomic_write` had not finished."""
    return path.name.startswith(".") and path.name.endswith(TEMPORARY_SUFFIX)


def sweep_temporaries(path: Path) -> None:
    """Remove what a killed run left of writing `path`, a file or a folder of files."""
    pattern = f".*{TEMPORARY_SUFFIX}" if path.is_dir() else f".{path.name}.*{TEMPORARY_SUFFIX}"
    for temporary in path.rglob(pattern) if path.is_dir() else path.parent.glob(pattern):
        temporary.unlink()


def save_bytes(path: Path, content: bytes) -> None:
    """Write bytes as they are."""
    atomic_write(path, lambda file: file.write(content))


def save_text(path: Path, text: str) -> None:
    """Write text as UTF-8."""
    save_bytes(path, text.encode())


def existing_file(path: Path) -> Path:
    if not path.is_file():
        raise InputError(f"{path}: missing file; make it with `dvc repro`")
    return path
