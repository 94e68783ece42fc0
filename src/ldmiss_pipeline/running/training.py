"""A training run as every training stage does it: first weights, checkpoints, progress, the loss curve."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import nn

from ldmiss.core.noise import torch_generator
from ldmiss.core.progress import progress_bar, show_training
from ldmiss.core.randomness import derive_seed
from ldmiss.networks.layers import build
from ldmiss.training.loop import Recipe, Training
from ldmiss_pipeline.artifacts.curves import save_curve

if TYPE_CHECKING:
    from ldmiss.training.loop import BatchLoss
    from ldmiss_pipeline.config.schema import Train
    from ldmiss_pipeline.running.checkpoint import Checkpoint
    from ldmiss_pipeline.running.context import Context

NetworkT = TypeVar("NetworkT", bound=nn.Module)


def recipe_from(train: "Train") -> Recipe:
    """The training recipe of a section's `train`."""
    return Recipe(**train.model_dump())


def new_network(
    context: "Context", name: str, make: Callable[[], NetworkT], init: Callable[[nn.Module, torch.Generator], None]
) -> NetworkT:
    """A cell's network of this name on the run's device, its weights drawn by `init`; see `build`."""
    generator = torch_generator("cpu", context.item.root_seed, name, "init")
    return build(make, context.runtime.device, init, generator)


def train_network(
    context: "Context", name: str, network: nn.Module, train: "Train", num_items: int, batch_loss: "BatchLoss"
) -> Training:
    """Train a cell's network of this name to the end, in place, and write its loss curve."""
    seed = derive_seed(context.item.root_seed, name)
    training = Training(network, recipe_from(train), num_items=num_items, seed=seed)
    run_training(training, batch_loss, context.checkpoint, name)
    save_curve(context.item.curve(name), training.curve)
    return training


def run_training(training: Training, batch_loss: "BatchLoss", checkpoint: "Checkpoint", slot: str) -> None:
    """Train to the end, from the slot's checkpoint where there is one, with a progress bar named after the slot."""
    save = checkpoint.resume(training, slot)
    with progress_bar(slot, training.num_steps, "step") as bar:
        show = show_training(bar, training)

        def on_step(training: Training) -> None:
            save(training)
            show(training)

        training.run(batch_loss, on_step)
