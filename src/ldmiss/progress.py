"""Progress bars on a terminal, silence elsewhere."""

import sys
from typing import Any

from tqdm import tqdm


def progress_bar(description: str, total: int, unit: str, *, shown: bool = True) -> "tqdm[Any]":
    """A bar on standard error that shows throughput; quiet when standard error is no terminal, or not `shown`."""
    quiet = not shown or not sys.stderr.isatty()
    return tqdm(total=total, desc=description, unit=unit, disable=quiet, dynamic_ncols=True)
