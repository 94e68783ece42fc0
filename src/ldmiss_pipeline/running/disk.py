"""One look at the disk before a grid runs. One that fills up all the same stops a stage with a message of its own."""

import shutil
import sys
from pathlib import Path

GB_PER_CELL = {"smoke": 0.03, "quick": 0.05, "lite": 0.4, "paper": 0.8}
"""What a cell of a profile leaves in the workspace and in DVC's cache, GB; its checkpoints take as much again for a
time. Counted once from the sizes of the networks and the numbers of images (the paper's grid of 18 cells: 14 GB)."""


def warning_of_little_space(profile: str, num_cells: int, folder: Path = Path()) -> str | None:
    """A line where the disk has less free than the cells of a grid take; None where it is enough, or not known.

    What is in the cache already is not subtracted, so this only warns.
    """
    if profile not in GB_PER_CELL:
        return None
    needed, free = GB_PER_CELL[profile] * (num_cells + 1), shutil.disk_usage(folder).free / 1e9
    if free >= needed:
        return None
    return f"the disk has {free:.1f} GB free; {num_cells} cells of profile {profile} take up to {needed:.1f} GB"


def warn_of_little_space(profile: str, num_cells: int) -> None:
    """Print that line to standard error, where there is one."""
    if (line := warning_of_little_space(profile, num_cells)) is not None:
        print(f"warning: {line}", file=sys.stderr, flush=True)
