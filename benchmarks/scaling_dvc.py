"""DVC's own cost against the number of cells, in toy projects whose commands cost nothing (`benchmarks.rows_dvc`).

Where nothing is to do: all of `dvc repro`, and of `dvc status`. Where something runs: one item by force, less the time
for the same item where nothing is to do. DVC reads and writes all of dvc.lock again for every item that runs, so that
this grows with the number of items that the lock has.
"""

import sys
from collections.abc import Mapping

from benchmarks.rows_dvc import FIRST, num_items, toy_project
from benchmarks.scaling_report import Series
from benchmarks.usage import usage

GRIDS = {1: (1, 1), 18: (6, 3), 100: (10, 10)}
"""Cells, and (rates, seeds) of them."""
FORCED = ["--single-item", f"mask@{FIRST}"]
AT_MOST_LINEAR, INDEPENDENT = (0.0, 1.1), (-0.1, 0.1)
FIT_FROM, FORCED_AT_MOST = 18, 18
"""Cells: with one, starting Python and DVC is most of it; with a hundred, an item by force takes minutes."""
CELL_SECONDS = 390.0
"""The stages of a cell of the quick profile on two cores."""

Found = dict[int, tuple[float, float]]
"""Cells -> least seconds and peak megabytes of a command."""


def measure(
    rounds: int, cell_seconds: float, grids: Mapping[int, tuple[int, int]] = GRIDS
) -> tuple[list[Series], list[str]]:
    """The series, and lines on DVC's share of a run."""
    folders = {cells: toy_project(*grid) for cells, grid in grids.items()}

    def least(what: str, most_cells: int, *arguments: str) -> Found:
        found = {}
        for cells, folder in folders.items():
            if cells <= most_cells:
                command = [sys.executable, "-m", "dvc", *arguments, "--quiet"]
                times = [usage(command, folder)[:2] for _ in range(rounds)]
                found[cells] = min(seconds for seconds, _ in times), min(peak for _, peak in times)
                print(f"{found[cells][0]:8.2f} s {found[cells][1]:6.0f} MB  {what}, {cells} cells", flush=True)
        return found

    nothing, status = least("dvc repro, nothing to do", max(grids), "repro"), least("dvc status", max(grids), "status")
    unforced = least("one item, nothing to do", FORCED_AT_MOST, "repro", *FORCED)
    forced = least("one item", FORCED_AT_MOST, "repro", "-f", *FORCED)
    per_item = {cells: (max(0.001, forced[cells][0] - unforced[cells][0]), 0.0) for cells in forced}
    series = [
        _series("dvc repro, nothing to do", "seconds", nothing, AT_MOST_LINEAR),
        _series("dvc repro, nothing to do", "MB", nothing, AT_MOST_LINEAR),
        _series("dvc status", "seconds", status, AT_MOST_LINEAR),
        _series("dvc repro, per item that runs", "seconds", per_item, INDEPENDENT),
    ]
    items = {cells: num_items(folder) for cells, folder in folders.items()}
    per_lock_item = per_item[max(per_item)][0] / items[max(per_item)]
    return series, [
        share(cells, count, nothing[cells][0], count * per_lock_item, cell_seconds) for cells, count in items.items()
    ]


def share(cells: int, items: int, nothing: float, last_item: float, cell_seconds: float) -> str:
    """DVC's part of a first run, whose stages take `cell_seconds` a cell.

    An item costs DVC in proportion to the items that dvc.lock has already: `last_item` for the last one.
    """
    own = nothing + items * last_item / 2
    part = own / (own + cells * cell_seconds)
    return (
        f"DVC's own share with {cells} cells: {nothing:.1f} s where nothing is to do; about {last_item:.1f} s for an "
        f"item that runs once dvc.lock has all {items}, in proportion to the largest project in which one was run. A "
        f"first run, in which the lock fills, makes about {own / 60:.0f} minutes: {part:.1%} of it where the stages "
        f"take {cell_seconds:.0f} s a cell."
    )


def _series(what: str, quantity: str, found: Found, expected: tuple[float, float]) -> Series:
    index = ("seconds", "MB").index(quantity)
    return {
        "what": what, "against": "cells", "quantity": quantity,
        "x": list(found), "y": [values[index] for values in found.values()],
        "fit_from": FIT_FROM if max(found) > FIT_FROM else min(found), "expected": list(expected),
    }  # fmt: skip
