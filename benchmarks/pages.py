"""The tables of docs/performance.md, written from the files in `benchmarks/results/`: `python -m benchmarks.pages`."""

import json
from collections.abc import Callable
from typing import Any

from benchmarks import few_steps_page, report, scaling_report
from benchmarks.page import RESULTS, ROOT, write_table

PAGE = ROOT / "docs/performance.md"


def write() -> None:
    """Write the blocks between the markers anew."""
    for block in blocks():
        write_table(PAGE, *block)


def blocks() -> list[tuple[str, str, str]]:
    """Name, command and text of each block."""
    return [
        ("speed", "make bench", _all_devices("bench", report.short_table)),
        ("bench", "make bench", _all_devices("bench", report.markdown)),
        ("scaling", scaling_report.COMMAND, _all_devices("scaling", scaling_report.markdown)),
        ("few-steps", few_steps_page.COMMAND, few_steps_page.all_devices()),
    ]


def _all_devices(name: str, markdown: Callable[[dict[str, Any]], str]) -> str:
    """What `markdown` says of each device that has results of this name; "" where none has."""
    return "\n\n".join(markdown(json.loads(path.read_text())) for path in sorted(RESULTS.glob(f"*/{name}.json")))


if __name__ == "__main__":
    write()
