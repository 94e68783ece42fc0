"""The outs of a finished stage, kept until DVC has recorded them.

DVC hashes and caches the outs after the stage has ended. A kill in between would cost the whole stage: its checkpoint
is gone, and DVC deletes outs that it does not know before it runs the stage again. So the outs stay as hard links
(no bytes) in the checkpoint's folder, and are removed by the next stage that finds them in `dvc.lock`.
"""

import hashlib
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from ldmiss.files.atomic import atomic_write
from ldmiss_pipeline.artifacts.json_files import load_checked_json, save_checked_json
from ldmiss_pipeline.artifacts.paths import CHECKPOINTS
from ldmiss_pipeline.running.lockfile import dvc_hash, recorded_hashes
from ldmiss_pipeline.running.pipeline import Work, files_in

_FOLDER = "finished"
_LIST = "finished.json"
"""Written last: without it the folder is not complete."""


def keep(folder: Path, work: Work, entry: dict[str, Any] | None) -> None:
    """Keep the outs of a finished work; `entry`: its entry in `dvc.lock` before DVC records this run."""
    hashes = {}
    for path in files_in(work.outs):
        kept = folder / _FOLDER / path
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.unlink(missing_ok=True)
        _link(path, kept)
        hashes[str(path)] = _sha256(kept)
    save_checked_json(folder / _LIST, {"label": work.label, "entry": entry, "sha256": hashes})
    for path in folder.iterdir():  # the checkpoint's slots, and what a kill left of writing one
        if path.name not in (_FOLDER, _LIST):
            path.unlink()


def candidates(work: Work) -> bool:
    """Whether outs of this item were kept, by this very work or by one with other params, code or inputs."""
    return any(CHECKPOINTS.glob(f"{work.label}-*/{_LIST}"))


def restore(folder: Path, work: Work) -> bool:
    """Write the kept outs of a work back to their places, where the folder has them all, unaltered; whether it did."""
    if not (folder / _LIST).exists():
        return False
    try:
        hashes = load_checked_json(folder / _LIST)["sha256"]
        contents = {path: (folder / _FOLDER / path).read_bytes() for path in hashes}
    except (ValueError, OSError) as error:
        print(f"warning: finished outs ignored: {error}", file=sys.stderr)
        return False
    if not all(_is_out_of(work, Path(path)) for path in contents):
        print(f"warning: finished outs ignored: {folder / _LIST}: names other files than outs", file=sys.stderr)
        return False
    if any(hashlib.sha256(contents[path]).hexdigest() != hashes[path] for path in hashes):
        print(f"warning: finished outs ignored: {folder / _FOLDER}: altered", file=sys.stderr)
        return False
    for path, content in contents.items():
        atomic_write(Path(path), lambda file, content=content: file.write(content))  # type: ignore[misc]
    return True


def remove_recorded(lock: dict[str, Any], work: Work) -> None:
    """Remove the outs of all works that DVC has recorded since they finished, before `work` runs.

    An entry that has not changed may be an equal one, written after the outs were made again. It is taken for that,
    but not for the outs of `work` itself: DVC would not run it again had it recorded them.
    """
    for path in CHECKPOINTS.glob(f"*/{_LIST}"):
        try:
            kept = load_checked_json(path)
        except ValueError:
            continue
        entry = lock.get(kept["label"])
        if entry != kept["entry"] or (kept["label"] != work.label and _recorded(path.parent, entry)):
            shutil.rmtree(path.parent, ignore_errors=True)


def _recorded(folder: Path, entry: dict[str, Any] | None) -> bool:
    hashes = {folder / _FOLDER / path: md5 for path, md5 in recorded_hashes(entry).items()}
    return bool(hashes) and all(path.exists() and dvc_hash(path) == md5 for path, md5 in hashes.items())


def _is_out_of(work: Work, path: Path) -> bool:
    return ".." not in path.parts and any(out in (path, *path.parents) for out in work.outs)


def _link(path: Path, kept: Path) -> None:
    try:
        os.link(path, kept)
    except OSError:  # a file system without hard links, or across two of them
        shutil.copyfile(path, kept)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
