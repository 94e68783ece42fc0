"""`dvc.lock`: what DVC recorded of each item, and the hash that it gives a file or a folder."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ldmiss.errors import InputError, one_line
from ldmiss_pipeline.config.params import PARAMS_FILE
from ldmiss_pipeline.config.yaml_files import load_yaml
from ldmiss_pipeline.running.pipeline import StageItem, files_in

LOCK_FILE = Path("dvc.lock")


_LOCK_SECONDS = 600.0
"""Longest wait for DVC's lock, which `dvc push` may hold for minutes."""


def under_dvc() -> bool:
    """Whether DVC runs this stage (it sets the variable for every command)."""
    return "DVC_STAGE" in os.environ


def check_recorded(stage_item: StageItem, producers: dict[Path, StageItem], lock: dict[str, Any]) -> None:
    """Refuse inputs whose contents are not those that DVC recorded when they were made.

    Raises:
        InputError: names the file, both hashes, and what to do.
    """
    for dep in stage_item.deps:
        for out in (out for out in producers if dep == out or dep in out.parents):
            recorded = recorded_hashes(lock.get(producers[out].label)).get(str(out))
            if recorded is not None and out.exists() and (found := dvc_hash(out)) != recorded:
                raise InputError(
                    f"{out}: corrupted: its MD5 is {found}, dvc.lock recorded {recorded}, and so may be the object "
                    "in DVC's cache; remove what is corrupted with `python -m ldmiss_pipeline verify --remove`, then "
                    "`dvc repro`"
                )


def load_lock(path: Path = LOCK_FILE) -> dict[str, Any]:
    """The entries of `dvc.lock` by label; none where there is no such file.

    DVC rewrites the file in place, which takes it seconds, and holds a lock meanwhile; so do we while we read, for with
    several stages at a time one may begin while another is recorded.

    Raises:
        InputError: not a lock of DVC's, or DVC holds its lock for too long.
    """
    if not path.is_file():
        return {}
    try:
        with _nobody_writing(path.parent):
            entries = dict((load_yaml(path) or {"stages": {}})["stages"])
        for entry in entries.values():
            recorded_work(entry)
    except (ValueError, AttributeError, LookupError, TypeError) as error:
        problem = f"not valid YAML, or no lock of DVC's ({one_line(error)})"
        raise InputError(f"{path}: {problem}; `git checkout {path}`") from None
    return entries


@contextmanager
def _nobody_writing(project: Path) -> Iterator[None]:
    """Hold the lock that DVC's commands take, but not while they run a stage; nothing in a folder that is not DVC's."""
    lock = project / ".dvc/tmp/lock"
    if not lock.parent.is_dir():
        yield
        return
    try:
        with FileLock(lock, timeout=_LOCK_SECONDS):
            yield
    except Timeout:
        raise InputError(
            f"{lock}: another command of DVC's holds it since {_LOCK_SECONDS:.0f} s; wait for it"
        ) from None


def recorded_hashes(entry: dict[str, Any] | None) -> dict[str, str]:
    """Path -> MD5 (with `.dir` for a folder) of the outs of an entry of `dvc.lock`."""
    return {out["path"]: out["md5"] for out in (entry or {}).get("outs", []) if "md5" in out}


def recorded_work(entry: dict[str, Any] | None) -> dict[str, Any]:
    """What an entry of `dvc.lock` followed from and made: its params, and path -> MD5 of its deps and its outs."""
    entry = entry or {}
    return {
        "params": entry.get("params", {}).get(str(PARAMS_FILE), {}),
        "deps": {dep["path"]: dep.get("md5") for dep in entry.get("deps", [])},
        "outs": recorded_hashes(entry),
    }


def dvc_hash(path: Path) -> str:
    """The hash that DVC gives a file, or a folder (of its listing, marked by `.dir`)."""
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    listing = [{"md5": dvc_hash(file), "relpath": file.relative_to(path).as_posix()} for file in files_in([path])]
    text = json.dumps(sorted(listing, key=lambda entry: entry["relpath"].split("/")), sort_keys=True)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() + ".dir"
