"""What `benchmarks.scaling` found: slopes on the logs with what was expected, as a table."""

from typing import Any

import numpy as np

COMMAND = "python -m benchmarks.scaling"
Series = dict[str, Any]
"""JSON: what, against, quantity ("seconds" or "MB"), x, y, fit_from, expected [low, high]."""


def slope(x: list[float], y: list[float]) -> float:
    """The exponent b of y = a x^b, by least squares on the logarithms.

    Raises:
        ValueError: fewer than two different x, or a value that is not positive.
    """
    if len(set(x)) < 2 or min(*x, *y) <= 0:
        raise ValueError(f"no slope through x {x}, y {y}")
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def fitted(series: Series) -> float:
    """The slope of a series from `fit_from` on."""
    pairs = [(x, y) for x, y in zip(series["x"], series["y"], strict=True) if x >= series["fit_from"]]
    return slope([x for x, _ in pairs], [y for _, y in pairs])


def holds(series: Series) -> bool:
    """Whether the slope is as expected."""
    low, high = series["expected"]
    return bool(low <= fitted(series) <= high)


def markdown(record: dict[str, Any]) -> str:
    """The settings, a line per series, and what does not hold."""
    machine = record["machine"]
    lines = [
        f"Made by `{COMMAND}` on {machine['cores']} cores of {machine['cpu']}; device "
        f"{machine['device']}, {machine['dtype']}, {machine['num_threads']} threads, torch {machine['torch']}.",
        "",
        "The slope b of y = a x^b is the least-squares line through the logarithms, from the x named in its column on.",
        "",
        "| what | against | measured | slope | from | expected | |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [_line(series) for series in record["series"]]
    missed = [
        f"{one['what']}, {one['quantity']} against {one['against']}" for one in record["series"] if not holds(one)
    ]
    lines += ["", f"Not as expected: {'; '.join(missed)}." if missed else "All slopes are as expected."]
    return "\n".join(lines) + "\n"


def _line(series: Series) -> str:
    first, last = (
        f"{series['y'][i]:.3g} {series['quantity']} at {series['x'][i]} {series['against']}" for i in (0, -1)
    )
    low, high = series["expected"]
    verdict = "holds" if holds(series) else "**does not hold**"
    return (
        f"| {series['what']} | {series['against']} | {first}, {last} | {fitted(series):.2f} | {series['fit_from']} "
        f"| {low:g} to {high:g} | {verdict} |"
    )
