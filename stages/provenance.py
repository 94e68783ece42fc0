"""Where inputs are from: their stamps against the params, and their contents against what DVC recorded.

Every artifact of ours says in its facts which item of which stage made it, and with which params (`Work.stamp`). So a
model of another cell, or one that older params made, is refused by name, with DVC or without. Under DVC the contents
are hashed as well: DVC itself trusts a cache object of which a bit has flipped, and hands it out.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from ldmiss.errors import InputError, one_line
from stages.io import is_temporary, load_array_facts, load_checked_json, load_facts
from stages.work import Work, files_in, load_yaml

LOCK_FILE = Path("dvc.lock")
_LOCK_SECONDS = 600.0
"""Longest wait for DVC's lock, which `dvc push` may hold for minutes."""
_FACTS_READERS: dict[str, Callable[[Path], dict[str, Any]]] = {
    ".safetensors": load_facts,
    ".npz": load_array_facts,
    ".json": lambda path: dict(load_checked_json(path).get("stamp", {})),
}
_UNSTAMPED = ("download", "train_classifier")
"""Raw data are checked by their hashes, the classifier by that of its weights: it may be a committed file."""


def under_dvc() -> bool:
    """Whether DVC runs this stage (it sets the variable for every command)."""
    return "DVC_STAGE" in os.environ


def check_stamps(work: Work, producers: dict[Path, Work]) -> None:
    """Refuse inputs that were made for another cell, or with params that are no longer those of the document.

    Args:
        work: whose dependencies are checked.
        producers: from `Pipeline.producers`.

    Raises:
        InputError: names the file, what it is and what was expected; or the file is corrupted.
    """
    for path in files_in(work.deps):
        producer = next((producers[out] for out in (path, *path.parents) if out in producers), None)
        if producer is None or producer.stage in _UNSTAMPED or path.suffix not in _FACTS_READERS:
            continue
        facts = _FACTS_READERS[path.suffix](path)
        made_by, params = (facts.get(key) for key in producer.stamp)
        if made_by != producer.stamp["made_by"]:
            raise InputError(f"{path}: made by {made_by}, expected one of {producer.label}; {_again(producer)}")
        if params != producer.stamp["params"]:
            raise InputError(f"{path}: made with other params than {producer.label} has now; {_again(producer)}")


def _again(producer: Work) -> str:
    return f"make it again with `dvc repro {producer.label}`"


def check_recorded(work: Work, producers: dict[Path, Work], lock: dict[str, Any]) -> None:
    """Refuse inputs whose contents are not those that DVC recorded when they were made.

    Raises:
        InputError: names the file, both hashes, and what to do.
    """
    for dep in work.deps:
        for out in (out for out in producers if dep == out or dep in out.parents):
            recorded = recorded_hashes(lock.get(producers[out].label)).get(str(out))
            if recorded is not None and out.exists() and (found := dvc_hash(out)) != recorded:
                raise InputError(
                    f"{out}: corrupted: its MD5 is {found}, dvc.lock recorded {recorded}, and so may be the object "
                    "in DVC's cache; remove what is corrupted with `python -m stages.verify --remove`, then `dvc repro`"
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
            recorded_hashes(entry)
    except (yaml.YAMLError, ValueError, AttributeError, LookupError, TypeError, RecursionError) as error:
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


def dvc_hash(path: Path) -> str:
    """The hash that DVC gives a file, or a folder (of its listing, marked by `.dir`)."""
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    files = sorted(file for file in path.rglob("*") if file.is_file() and not is_temporary(file))
    listing = [{"md5": dvc_hash(file), "relpath": file.relative_to(path).as_posix()} for file in files]
    text = json.dumps(sorted(listing, key=lambda entry: entry["relpath"].split("/")), sort_keys=True)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() + ".dir"
