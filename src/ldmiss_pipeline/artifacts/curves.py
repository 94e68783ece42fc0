"""Loss curves: the mean training loss of each epoch, as a CSV."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from ldmiss.errors import InputError, one_line
from ldmiss.files.atomic import save_text

if TYPE_CHECKING:
    pass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def load_curve(path: Path) -> list[float]:
    """The mean loss of each epoch.

    Raises:
        InputError: no such file, or no such table in it.
    """
    try:
        losses: list[float] = pd.read_csv(path, dtype={"epoch": int, "loss": float})["loss"].tolist()
    except (ValueError, KeyError) as error:
        raise InputError(f"{path}: corrupted, or no loss curve ({one_line(error)})") from None
    return losses


def save_curve(path: "Path", losses: list[float]) -> None:
    """The mean training loss of each epoch as a CSV, `epoch,loss`; no times, so that a rerun gives the same file."""
    lines = [f"{epoch},{loss:.8g}" for epoch, loss in enumerate(losses, start=1)]
    save_text(path, "\n".join(["epoch,loss", *lines]) + "\n")
