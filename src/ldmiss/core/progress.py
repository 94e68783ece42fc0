"""Progress bars on a terminal, silence elsewhere."""

import sys
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

if TYPE_CHECKING:
    from collections.abc import Callable

    from ldmiss.training.loop import Training


def progress_bar(description: str, total: int, unit: str) -> "tqdm[Any]":
    """A bar on standard error that shows throughput; quiet when standard error is no terminal."""
    return tqdm(total=total, desc=description, unit=unit, disable=not sys.stderr.isatty(), dynamic_ncols=True)


def show_training(bar: "tqdm[Any]", training: "Training") -> "Callable[[Training], None]":
    """A callback for the training loop that moves the bar and shows the loss."""
    bar.update(training.step)

    def on_step(training: "Training") -> None:
        bar.update(1)
        if training.step % 20 == 0 and not bar.disable:
            bar.set_postfix(loss=f"{training.last_loss():.4g}", refresh=False)

    return on_step
