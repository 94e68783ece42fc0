"""The benchmark as a figure: ratios with their spread, and shares of the machine's limit, ours and the peers'."""

from itertools import groupby
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from ldmiss.figures.style import colour_of, new_figure

OURS, PEER = colour_of("ldmiss"), colour_of("ddpm")
"""The colours of the other figures' first two."""
TICKS = [0.25, 0.5, 1, 2, 4, 8, 16, 32, 64]
Entry = tuple[str, str, dict[str, Any]]
"""A row's title, a label within it, and the numbers."""


def draw(record: dict[str, Any], path: Path) -> None:
    """Write the figure; rows without comparisons are left out."""
    rows = [row for row in record["rows"].values() if row.get("comparisons")]
    ratios = [(row["title"], one["label"], one) for row in rows for one in row["comparisons"]]
    shares = [
        (row["title"], name, one) for row in rows for name, one in row["timed"].items() if "share_of_limit" in one
    ]
    height = 0.17 * (max(len(ratios), len(shares), 5) + 2 * len(rows)) + 1
    figure, (left, right) = new_figure(1, 2, width=7, height=height)
    for position, one in _labelled(left, ratios):
        left.plot(one["range"], [position] * 2, color=OURS, linewidth=1, clip_on=True)
        left.plot(one["quartiles"], [position] * 2, color=OURS, linewidth=3)
        left.plot(one["ratio"], position, "o", color=OURS, markersize=5)
        if one["target"] is not None:
            left.plot(one["target"], position, "|", color="black", markersize=10, markeredgewidth=1.5)
    left.axvline(1.0, color="grey", linewidth=0.8, linestyle="--")
    left.set_xscale("log")
    medians = [one["ratio"] for *_, one in ratios] or [1.0]
    left.set_xlim(0.8 * min(0.5, *medians), 1.6 * max(2.0, *medians))
    left.xaxis.set_major_locator(FixedLocator(TICKS))
    left.xaxis.set_minor_locator(NullLocator())
    left.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    left.set_xlabel("time of the peer / time of ours\n(median, quartiles, range; black: target)")
    for position, one in _labelled(right, shares):
        share = 100 * one["share_of_limit"]
        right.barh(position, share, color=OURS if one["ours"] else PEER, height=0.7)
        right.text(share, position, f" {one['flop_per_second'] / 1e9:.0f}", va="center", fontsize=7)
    right.margins(x=0.1)
    right.set_xlabel("% of the measured limit in the same dtype\n(at the bar: GFLOP/s; blue: ours, orange: the peer)")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _labelled(axes: plt.Axes, entries: list[Entry]) -> list[tuple[int, dict[str, Any]]]:
    """A place for each entry from the top, below its row's title in bold; the places and their numbers."""
    placed: list[tuple[int, dict[str, Any]]] = []
    ticks: list[int] = []
    labels: list[str] = []
    titles: list[int] = []
    position = 0
    for title, group in groupby(entries, key=lambda entry: entry[0]):
        titles.append(len(ticks))
        ticks.append(position)
        labels.append(title)
        for _, label, numbers in group:
            position += 1
            ticks.append(position)
            labels.append(label)
            placed.append((position, numbers))
        position += 1
    axes.set_yticks(ticks, labels)
    axes.tick_params(axis="y", labelsize=7, length=0)
    for index in titles:
        axes.get_yticklabels()[index].set_fontweight("bold")
    axes.set_ylim(position - 0.3, -0.7)
    return placed
