"""The folder in which a slice works: a project of its own beside the checkout, so that no file of the checkout changes.

What has ended there is marked (`ended/<label>`, with the hash of its params): without DVC nothing else says so.
"""

import json
import os
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stages.io import load_json, save_text
from stages.params import PARAMS_FILE
from stages.paths import RAW
from stages.work import Work

ROOT = Path(__file__).resolve().parent.parent.parent
RESULTS = Path("results")
"""In the workspace: what was measured here and is carried away (`pieces`, `timings.jsonl`)."""
EARLIER = Path("earlier")
"""In the workspace: the same of earlier slices, without arrays; what is there is not measured again."""
TIMINGS = "timings.jsonl"
ENDED = Path("ended")
MANIFEST = "manifest.json"
"""Of a carried folder: the commit of the code that travels with it, which has no history where it goes."""
_LINKED = ("src", "stages", "assets", "dvc.yaml")


def enter(folder: Path, params_file: Path, carried: Sequence[Path]) -> None:
    """Make `folder` a project with these params, and with the raw data of a carried folder, and go there."""
    text = params_file.read_text()
    raw = [path.resolve() / "raw" for path in carried if (path / "raw").is_dir()]
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    for name in _LINKED:
        if not Path(name).exists():
            Path(name).symlink_to(ROOT / name)
    if raw and not RAW.exists():
        RAW.parent.mkdir(exist_ok=True)
        RAW.symlink_to(raw[0])
    save_text(PARAMS_FILE, text)


def machine() -> str:
    """A name for the machine that this workspace lies on: another one has another, whatever it calls itself."""
    path = Path("machine")
    if not path.is_file():
        save_text(path, uuid.uuid4().hex[:8])
    return path.read_text()


def commit(carried: Sequence[Path]) -> str:
    """The commit of the code: what a carried folder says, else what git says of the checkout."""
    for folder in carried:
        if (folder / MANIFEST).is_file():
            return str(load_json(folder / MANIFEST)["commit"])
    return head()


def head() -> str:
    """The commit of the checkout, with `-dirty` where files differ from it; `unknown` without git."""
    command = ["git", "describe", "--always", "--abbrev=12", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S603 - our own command
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def mark_ended(label: str, params: str) -> None:
    """Note that the work of this label has ended, made with params of this hash."""
    save_text(ENDED / label, params)


def has_ended(work: Work) -> bool:
    """Whether a work has ended here with the params it has now, and its outs are there."""
    if not all(out.exists() for out in work.outs):
        return False
    if work.stage == "download":
        return True  # its files are checked against their hashes whenever they are read
    mark = ENDED / work.label
    return mark.is_file() and mark.read_text() == work.stamp["params"]


def add_timing(row: dict[str, Any]) -> None:
    """Append what one run of a step took."""
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / TIMINGS).open("a") as file:
        file.write(json.dumps(row, sort_keys=True) + "\n")


def all_timings(*folders: Path) -> list[dict[str, Any]]:
    """The rows in results folders, each once; a line that a kill cut short is left out."""
    texts = [(folder / TIMINGS).read_text() for folder in folders if (folder / TIMINGS).is_file()]
    rows = []
    for line in dict.fromkeys(line for text in texts for line in text.splitlines()):
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows
