"""A training run as every training stage does it: checkpoints, progress, the loss curve."""

from typing import TYPE_CHECKING

from ldmiss.training.loop import Recipe
from stages.io import save_text
from stages.progress import progress_bar, show_training

if TYPE_CHECKING:
    from pathlib import Path

    from ldmiss.training.loop import BatchLoss, Training
    from stages.checkpoint import Checkpoint
    from stages.schema import Train


def recipe_from(train: "Train") -> Recipe:
    """The training recipe of a section's `train`."""
    return Recipe(**train.model_dump())


def run_training(training: "Training", batch_loss: "BatchLoss", checkpoint: "Checkpoint", slot: str) -> None:
    """Train to the end, from the slot's checkpoint where there is one, with a progress bar named after the slot."""
    save = checkpoint.resume(training, slot)
    with progress_bar(slot, training.num_steps, "step") as bar:
        show = show_training(bar, training)

        def on_step(training: "Training") -> None:
            save(training)
            show(training)

        training.run(batch_loss, on_step)


def save_curve(path: "Path", losses: list[float]) -> None:
    """The mean training loss of each epoch as a CSV, `epoch,loss`; no times, so that a rerun gives the same file."""
    lines = [f"{epoch},{loss:.8g}" for epoch, loss in enumerate(losses, start=1)]
    save_text(path, "\n".join(["epoch,loss", *lines]) + "\n")
