"""The real 3 x 2 grid on an engine: run, collected, and compared with the plain run; who did what."""

import re
import shutil
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from cluster.projects import Home, Project
from cluster.s3 import S3

ONE_CELL = "0.5-42"


def on_engine(bed: Any, project: Project) -> dict[str, object]:
    """All cells; a row of the table.

    Raises:
        AssertionError: the grid fails, or gives something else than the plain run, or a node ran no cell.
    """
    home = project.home(more=bed.environment)
    start = time.monotonic()
    _succeed(home, "run", *bed.arguments, "--retries", "1", "--origin", str(home.origin))
    seconds = time.monotonic() - start
    problem = home.collect() or home.difference()
    assert problem is None, f"{bed.name}: {problem} (see {home.top})"
    shares = _shares(bed.name, home)
    nodes = [node for node in shares if node is not None]
    assert sorted(nodes) == sorted(bed.nodes), f"{bed.name}: cells ran on {nodes}, not on all of {bed.nodes}"
    size = sum(path.stat().st_size for path in home.remote.rglob("*") if path.is_file())
    return _row(bed.name, project, shares, seconds, size / len(project.cells)) | _planned(home, project)


def _planned(home: Home, project: Project) -> dict[str, object]:
    """What `plan` says of the whole grid where it knows of one cell what the workers took, and what they took in all.

    Raises:
        AssertionError: `plan` fails.
    """
    took = sum(event["seconds"] for event in home.events() if event.get("how") == "executed")
    other = project.home()
    (events,) = home.folder.glob(f"runs/grid/*/events/{ONE_CELL}.jsonl")
    earlier = other.folder / "runs/grid/earlier/events"
    earlier.mkdir(parents=True)
    shutil.copy(events, earlier)
    done = other.grid("plan", "--gpus-per-cell", "0")
    found = re.search(r"in all ([\d.]+) min", done.stdout)
    assert found is not None, f"plan: {done.stdout.strip()[-800:]} (see {other.top})"
    return {"stages: planned from one cell, taken": f"{float(found[1]):.1f} min, {took / 60:.1f} min"}


def on_s3(project: Project, bed: Any) -> dict[str, object]:
    """One cell, by the engine `local`, with object storage as the remote, and no secret in any file of the run.

    Raises:
        AssertionError: it fails, or the cell is other than in the plain run, or a secret is found.
    """
    storage = S3()
    try:
        home = project.home(storage.settings, bed.environment)
        start = time.monotonic()
        arguments = ["--cells", ONE_CELL, "--retries", "1", "--origin", str(home.origin)]
        _succeed(home, "run", *bed.arguments, *arguments)
        seconds = time.monotonic() - start
        while_running = _with_secret(home, storage.secret)
        assert {path.name for path in while_running} <= {"remote"}, f"the secret is in {while_running}"
        assert all(path.stat().st_mode & 0o077 == 0 for path in while_running), f"others can read {while_running}"
        problem = home.collect("--partial") or home.difference(f"evaluate@{ONE_CELL}")
        assert problem is None, f"s3: {problem} (see {home.top})"
        return _row("local, S3", project, _shares("s3", home), seconds, storage.num_bytes()) | {"cells": 1}
    finally:
        storage.close()


def _with_secret(home: Home, secret: str) -> list[Any]:
    """Files of the run that hold it."""
    files = [path for path in (home.folder / "runs").rglob("*") if path.is_file()]
    return [path for path in [*files, home.top / "grid.log"] if secret.encode() in path.read_bytes()]


def _succeed(home: Home, *arguments: str) -> None:
    done = home.grid(*arguments)
    assert done.returncode == 0, f"grid {arguments[0]}: {done.stdout.strip()[-800:]} (see {home.top})"


def _shares(name: str, home: Home) -> dict[str | None, dict[str, list[str]]]:
    """Node -> cell -> the stages that it executed there; printed, too."""
    shares: dict[str | None, dict[str, list[str]]] = {}
    for event in home.events():
        if event.get("how") == "executed":
            shares.setdefault(event["node"], {}).setdefault(event["cell"], []).append(event["stage"].partition("@")[0])
    for node, cells in shares.items():
        for cell, stages in cells.items():
            print(f"{name}: node {node}, cell {cell}: {', '.join(stages)}", flush=True)
    cells = Counter(cell for of_node in shares.values() for cell in of_node)
    assert cells.total() == len(cells), "a cell ran on two nodes, though nothing went wrong"
    return shares


def _row(
    name: str, project: Project, shares: Mapping[str | None, Mapping[str, list[str]]], seconds: float, size: float
) -> dict[str, object]:
    return {
        "engine": name, "cells": len(project.cells),
        "stages executed by each node": "; ".join(
            f"{node or 'this host'}: {sum(map(len, cells.values()))} in {len(cells)} cells"
            for node, cells in sorted(shares.items(), key=str)
        ),
        "seconds": f"{seconds:.0f}", "pushed per cell": f"{size / 1e6:.1f} MB", "dvc.lock and metrics": "identical",
    }  # fmt: skip
