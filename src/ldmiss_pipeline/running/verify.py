"""Re-hash what DVC recorded and what its cache holds: `python -m ldmiss_pipeline verify [--remove]`, `make verify`.

DVC trusts a cache object by its name and file mode: after bit rot or a bad copy it hands out the garbage and says that
everything is up to date. This looks. With `--remove`, what is corrupted goes, and `dvc repro` makes it again.
"""

import argparse
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ldmiss.errors import InputError
from ldmiss_pipeline.config import params as params_module
from ldmiss_pipeline.running.lockfile import dvc_hash, load_lock, recorded_hashes
from ldmiss_pipeline.running.pipeline import Pipeline

_MOST_NAMED = 10


def main(arguments: list[str] | None = None) -> int:
    """Print what is corrupted or absent; exit status 1 where anything is (and was not removed)."""
    parser = argparse.ArgumentParser(prog="python -m ldmiss_pipeline verify", description=__doc__.split("\n")[0])
    parser.add_argument("--remove", action="store_true", help="remove what is corrupted; `dvc repro` makes it again")
    remove = parser.parse_args(arguments).remove
    try:
        lock, objects = load_lock(), cached_objects(cache_folder())
        corrupted = [*corrupted_outs(lock), *corrupted_objects(objects)]
        outs = all_outs()
        recorded = {Path(path) for entry in lock.values() for path in recorded_hashes(entry)}
        absent = [out for out in outs if not out.exists() or out not in recorded]
    except InputError as error:
        print(f"error: verify: {error}", file=sys.stderr)
        return 1
    for path, problem in corrupted:
        print(f"not as recorded: {path}: {problem}{'; removed' if remove else ''}")
        if remove:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    if not corrupted:
        print(f"verify: {len(outs) - len(absent)} outs and {len(objects)} objects of DVC's cache are as recorded")
    for path in absent[:_MOST_NAMED]:
        print(f"{'not in dvc.lock' if path.exists() else 'absent'}: {path}")
    if absent:
        print(f"not verified: {len(absent)} of {len(outs)} outs of params.yaml; `dvc repro` makes or restores them")
    return 1 if absent or (corrupted and not remove) else 0


def all_outs() -> list[Path]:
    """The outs that params.yaml asks for."""
    pipeline = Pipeline(params_module.load()[1])
    return list(pipeline.producers(pipeline.cells()))


def corrupted_outs(lock: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """Outs in the workspace whose contents are not those that `dvc.lock` recorded."""
    for label, entry in lock.items():
        for name, recorded in recorded_hashes(entry).items():
            path = Path(name)
            if path.exists() and (found := dvc_hash(path)) != recorded:
                yield path, f"MD5 {found}, but dvc.lock recorded {recorded} for {label}"


def cached_objects(cache: Path) -> list[Path]:
    """The objects of DVC's cache: files named by their hash."""
    return [path for path in sorted((cache / "files/md5").glob("??/*")) if path.is_file() and len(_hash(path)) == 32]


def corrupted_objects(objects: list[Path]) -> Iterator[tuple[Path, str]]:
    """Those whose contents do not have the hash that is their name."""
    for path in objects:
        if dvc_hash(path) != _hash(path):
            yield path, "its contents do not have the hash that is its name"


def _hash(path: Path) -> str:
    return (path.parent.name + path.name).removesuffix(".dir")


def cache_folder() -> Path:
    """Where DVC's cache is, as configured."""
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            return Path(repo.cache.local.path).parent.parent
    except NotDvcRepoError:
        raise InputError("no DVC project here; run from the project's root") from None


if __name__ == "__main__":
    sys.exit(main())
