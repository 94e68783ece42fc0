"""A stage that costs nothing: `python -m stages.toy LABEL OUT DEP...` writes a hash of what it depends on.

In the folder `control/` beside a directory remote it says when it begins and ends, and finds what to do: to wait while
`hold-<label>` is there, to fail while `poison-<label>` is.
"""

import hashlib
import json
import os
import re
import sys
import time
from pathlib import Path

LONGEST_SECONDS = 300


def main(label: str, out: str, deps: list[str]) -> None:
    settings = Path(".dvc/config.local")
    config = settings.read_text() if settings.is_file() else ""
    start = Path("runs/locks", f"{label}.start")  # as the runner does: it is how others see that the stage ran
    start.parent.mkdir(parents=True, exist_ok=True)
    start.write_text(os.environ.get("LDMISS_STARTED_BY", ""))
    say(config, label, "begins")
    wait_while_held(config, label)
    if exists(config, f"poison-{label}"):
        sys.exit(f"error: {label}: poisoned by the test")
    digest = hashlib.sha256(label.encode())
    for path in sorted(file for dep in deps for file in files(Path(dep))):
        digest.update(f"{path}\0".encode() + path.read_bytes())
    target = Path(out)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({"sha256": digest.hexdigest()}))
    say(config, label, "ends")


def files(path: Path) -> list[Path]:
    return [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]


def control(config: str) -> Path | None:
    url = re.search(r"^\s*url = (/.*)$", config, re.MULTILINE)
    folder = url and Path(url[1].strip()).parent / "control"
    return folder if folder and folder.is_dir() else None


def exists(config: str, name: str) -> bool:
    folder = control(config)
    return folder is not None and (folder / name).exists()


def wait_while_held(config: str, label: str) -> None:
    end = time.monotonic() + LONGEST_SECONDS
    if exists(config, f"hold-{label}"):
        say(config, label, "held")
    while exists(config, f"hold-{label}"):
        if time.monotonic() > end:
            sys.exit(f"error: {label}: held for {LONGEST_SECONDS} s")
        time.sleep(0.05)


def say(config: str, label: str, what: str) -> None:
    folder = control(config)
    if folder is not None:
        line = json.dumps({"label": label, "what": what, "time": time.time(), "pid": os.getpid()})
        with (folder / "log.jsonl").open("a") as file:
            file.write(f"{line}\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
