"""What the README and docs/performance.md say about `benchmarks/results/`, and the README about `results/paper/`.

`python -m benchmarks.pages` writes it anew from the committed files.
"""

import json
from pathlib import Path
from typing import Any

from stages.slices.page import section

from benchmarks import report, scaling_report
from benchmarks.page import write_table
from ldmiss_pipeline.config.compose import ROOT

README, PAGE = ROOT / "README.md", ROOT / "docs/performance.md"
SCALING, PAGES = "python -m benchmarks.scaling", "python -m benchmarks.pages"
COLUMNS = {"float32": "both in float32", "native": "both in bfloat16", "as run": "as run"}
"""Kinds of comparisons, and their columns in the README."""


def write() -> None:
    """Write the blocks between the markers anew."""
    for block in blocks():
        write_table(*block)


def blocks() -> list[tuple[Path, str, str, str]]:
    """Page, name, command and text of each block; the text is empty where nothing was measured yet."""
    benches, scalings = results("bench.json"), results("scaling.json")
    return [
        (README, "speed", "make bench", "\n\n".join(map(summary, benches.values()))),
        (README, "paper", PAGES, section(ROOT / "results/paper")),
        (PAGE, "bench", "make bench", "\n\n".join(bench_part(*item) for item in benches.items())),
        (PAGE, "scaling", SCALING, "\n\n".join(scaling_part(*item) for item in scalings.items())),
    ]


def results(name: str) -> dict[str, dict[str, Any]]:
    """The results of this name by device."""
    return {path.parent.name: json.loads(path.read_text()) for path in sorted(report.RESULTS.glob(f"*/{name}"))}


def summary(record: dict[str, Any]) -> str:
    """The README's table: a line for each row with a peer, its ratios by kind."""
    machine = record["machine"]
    lines = [
        f"{machine['cores']} cores of {machine['cpu']}, device {machine['device']}: the peer's time over ours, medians "
        f"of {_rounds(record)} rounds; above 1, ours is faster. As run: ours in {machine['dtype']}, theirs by default.",
        "",
        f"| | {' | '.join(COLUMNS.values())} |",
        f"|---|{'---|' * len(COLUMNS)}",
    ]
    for row in record["rows"].values():
        ratios = {one["kind"]: f"{one['ratio']:.2f}" for one in row.get("comparisons", []) if one["kind"]}
        if ratios:
            lines.append(f"| {row['title']} | {' | '.join(ratios.get(kind, '') for kind in COLUMNS)} |")
    return "\n".join(lines)


def _rounds(record: dict[str, Any]) -> int:
    return max((row["rounds"] for row in record["rows"].values() if "rounds" in row), default=0)


def bench_part(device: str, record: dict[str, Any]) -> str:
    """Tables and figure of a device."""
    return f"### {device}\n\n{report.markdown(record)}\n![Ratios and shares](../benchmarks/results/{device}/bench.png)"


def scaling_part(device: str, record: dict[str, Any]) -> str:
    """Table and figure of a device."""
    figure = f"![Time and memory](../benchmarks/results/{device}/scaling.png)"
    return f"### {device}\n\n{scaling_report.markdown(record)}\n{figure}"


if __name__ == "__main__":
    write()
