"""Tables in the documentation that a command writes: they stand between two comments that name the command."""

from pathlib import Path

from ldmiss.files.atomic import save_text

ROOT = Path(__file__).parent.parent
"""The clone."""
RESULTS = ROOT / "benchmarks/results"
"""Measurements of speed and of few steps lie in one folder per device."""


def write_table(page: Path, name: str, command: str, text: str) -> None:
    """Replace what stands between `<!-- NAME: written by COMMAND -->` and `<!-- NAME: end -->`.

    Raises:
        ValueError: the page has no such place.
    """
    start, end = f"<!-- {name}: written by {command} -->", f"<!-- {name}: end -->"
    before, found_start, rest = page.read_text().partition(start)
    _, found_end, after = rest.partition(end)
    if not (found_start and found_end):
        raise ValueError(f"{page}: no place for the table: {start} ... {end}")
    save_text(page, f"{before}{start}\n{text.strip()}\n{end}{after}")
