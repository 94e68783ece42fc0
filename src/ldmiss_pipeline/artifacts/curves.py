"""Loss curves: the mean training loss of each epoch as a CSV, `epoch,loss`."""

import csv
from pathlib import Path

from ldmiss.errors import InputError, one_line
from ldmiss.files.atomic import existing_file, save_text


def save_curve(path: Path, losses: list[float]) -> None:
    """Write the mean loss of each epoch; no times, so that a rerun gives the same file."""
    lines = [f"{epoch},{loss:.8g}" for epoch, loss in enumerate(losses, start=1)]
    save_text(path, "\n".join(["epoch,loss", *lines]) + "\n")


def load_curve(path: Path) -> list[float]:
    """The mean loss of each epoch.

    Raises:
        InputError: no such file, or no such table in it.
    """
    existing_file(path)
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file, strict=True))
        if [int(row["epoch"]) for row in rows] != list(range(1, len(rows) + 1)):
            raise ValueError("the epochs are not 1, 2, 3, ...")
        return [float(row["loss"]) for row in rows]
    except (ValueError, KeyError, TypeError, OSError, csv.Error) as error:
        raise InputError(f"{path}: corrupted, or no loss curve ({one_line(error)})") from None
