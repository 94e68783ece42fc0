"""A network trained from its first weights to its last: the way of every network of the project."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ldmiss.checkpoints import NO_CHECKPOINT, Checkpoint
from ldmiss.core.device_memory import naming_batch_size
from ldmiss.core.noise import torch_generator
from ldmiss.core.randomness import derive_seed
from ldmiss.networks.layers import build
from ldmiss.progress import progress_bar
from ldmiss.training.loop import BatchLoss, Recipe, Training

NetworkT = TypeVar("NetworkT", bound=nn.Module)


@dataclass(frozen=True)
class FittedNetwork:
    """A trained network, as it is stored.

    Attributes:
        config: arguments of the network's class.
        weights: by name, float32, on the CPU.
        curve: mean training loss of each epoch.
    """

    config: dict[str, Any]
    weights: dict[str, Tensor]
    curve: list[float]


def fit_network(
    make: Callable[..., NetworkT],
    config: Mapping[str, Any],
    make_loss: Callable[[NetworkT], BatchLoss],
    *,
    name: str,
    init: Callable[[nn.Module, torch.Generator], None],
    num_items: int,
    recipe: Recipe,
    seed: int,
    device: torch.device,
    checkpoint: Checkpoint = NO_CHECKPOINT,
    progress: bool = True,
) -> FittedNetwork:
    """Draw a network's first weights and train it to the end.

    Args:
        make: class of the network.
        config: its arguments.
        make_loss: the network on its device -> what it minimises on a batch.
        name: of the network: its draws derive from (seed, name), and its checkpoint and progress bar bear it.
        init: draws the first weights, `init_fan_avg` or `init_torch_default`.
        num_items: size of the training set.
        recipe: how it is trained.
        seed: root of all draws.
        device: where it is trained.
        checkpoint: where a run that is cut short goes on.
        progress: show a bar on a terminal.

    Raises:
        DivergenceError, DeviceMemoryError: see `run_training`.
    """
    network = build(lambda: make(**config), device, init, torch_generator("cpu", seed, name, "init"))
    training = Training(network, recipe, num_items=num_items, seed=derive_seed(seed, name))
    run_training(training, make_loss(network), name=name, checkpoint=checkpoint, progress=progress)
    return FittedNetwork(dict(config), training.result(), training.curve)


def run_training(
    training: Training,
    batch_loss: BatchLoss,
    *,
    name: str,
    checkpoint: Checkpoint = NO_CHECKPOINT,
    progress: bool = True,
) -> None:
    """Train to the end, from the checkpoint's slot `name` where it has one, with a progress bar of that name.

    Raises:
        DivergenceError: a loss or a weight is not finite.
        DeviceMemoryError: the device's memory is too small for a batch.
    """
    stored = checkpoint.load(name)
    if stored is not None:
        training.restore(stored)
    with progress_bar(name, training.num_steps, "step", shown=progress) as bar:
        bar.update(training.step)

        def on_step(training: Training) -> None:
            checkpoint.offer(name, training.snapshot)
            bar.update(1)
            if training.step % 20 == 0 and not bar.disable:
                bar.set_postfix(loss=f"{training.last_loss():.4g}", refresh=False)

        with naming_batch_size(name, training.recipe.batch_size):
            training.run(batch_loss, on_step)
