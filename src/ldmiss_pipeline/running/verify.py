"""Re-hash what DVC recorded and what its cache holds: `python -m ldmiss_pipeline verify [--remove]`, `make verify`.

DVC trusts a cache object by its name and file mode: after bit rot or a bad copy it hands out the garbage and says that
everything is up to date. This looks. With `--remove`, what is corrupted goes, and `dvc repro` makes it again.
"""

import argparse
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from ldmiss.errors import InputError
from ldmiss_pipeline.running.lockfile import dvc_hash, load_lock, recorded_hashes


def main(arguments: list[str] | None = None) -> int:
    """Print what is corrupted; exit status 1 where anything is (and was not removed)."""
    parser = argparse.ArgumentParser(prog="python -m ldmiss_pipeline verify", description=__doc__.split("\n")[0])
    parser.add_argument("--remove", action="store_true", help="remove what is corrupted; `dvc repro` makes it again")
    remove = parser.parse_args(arguments).remove
    try:
        corrupted = [*corrupted_outs(), *corrupted_objects(cache_folder())]
    except InputError as error:
        print(f"error: verify: {error}", file=sys.stderr)
        return 1
    for path, problem in corrupted:
        print(f"not as recorded: {path}: {problem}{'; removed' if remove else ''}")
        if remove:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    if not corrupted:
        print("verify: every out is what dvc.lock recorded, every object of DVC's cache what its name says")
    return 1 if corrupted and not remove else 0


def corrupted_outs() -> Iterator[tuple[Path, str]]:
    """Outs in the workspace whose contents are not those that `dvc.lock` recorded."""
    for label, entry in load_lock().items():
        for name, recorded in recorded_hashes(entry).items():
            path = Path(name)
            if path.exists() and (found := dvc_hash(path)) != recorded:
                yield path, f"MD5 {found}, but dvc.lock recorded {recorded} for {label}"


def corrupted_objects(cache: Path) -> Iterator[tuple[Path, str]]:
    """Objects of DVC's cache whose contents do not have the hash that is their name."""
    for path in sorted((cache / "files/md5").glob("??/*")):
        name = path.parent.name + path.name
        if path.is_file() and len(name.removesuffix(".dir")) == 32 and dvc_hash(path) != name.removesuffix(".dir"):
            yield path, "its contents do not have the hash that is its name"


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
