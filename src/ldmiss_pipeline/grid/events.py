"""What workers say: a line of JSON when a stage begins and when it ends, and one when the worker leaves.

cell, stage ("worker" in its last line), status ("running", "done", "failed", "preempted"), host, attempt, time; of a
stage that ended well how ("executed", "cached"), seconds, device, method, params (their hash); of what
failed the reason.
"""

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

WORKER = "worker"
"""The stage of the line with which a worker leaves."""
MARK, LOCK_MARK = "event: ", "lock: "
"""Before each event, and before the entries of dvc.lock, where they are printed: for engines without a folder that all
machines see."""


def add_event(path: Path | None, event: dict[str, Any]) -> None:
    """Append an event in one write, on a line of its own whatever a kill left before it; print it where no path is."""
    text = json.dumps({**event, "time": datetime.now(UTC).isoformat(timespec="milliseconds")})
    if path is None:
        print(MARK + text, flush=True)
        return
    add_line(path, text)


def add_line(path: Path, text: str) -> None:
    """Append a line in one write; a line that a kill cut short is ended first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+", buffering=0) as file:
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            text = text if file.read(1) == b"\n" else f"\n{text}"
        file.write(f"{text}\n".encode())


def read_events(path: Path) -> list[dict[str, Any]]:
    """The events in a file, oldest first; none where there is no file. A line that a kill cut short is left out."""
    if not path.is_file():
        return []
    events = []
    for line in path.read_text().splitlines():
        try:
            events.append(json.loads(line))
        except ValueError:
            print(f"warning: {path}: a line that is no JSON is left out", file=sys.stderr)
    return events
