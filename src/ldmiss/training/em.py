"""Expectation-maximisation with a network: train on completed rows, complete them anew, and so on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from ldmiss.checkpoints import NO_CHECKPOINT, Checkpoint
from ldmiss.training.fit import NetworkT, run_training
from ldmiss.training.loop import BatchLoss, Recipe, Training

ModelT = TypeVar("ModelT")


def expectation_maximisation(
    rows: Tensor,
    *,
    steps: range,
    m_step: Callable[[int, Tensor], ModelT],
    e_step: Callable[[int, ModelT], Tensor],
) -> ModelT:
    """Alternate M- and E-steps; the last model has no E-step after it, because nothing would use it.

    Args:
        rows: the initial completed rows, (N, ...).
        steps: numbers of the steps still to do (a run that was cut short starts later); at least one.
        m_step: (number, completed rows) -> the model fitted to them.
        e_step: (number, model) -> newly completed rows (N, ...).
    """
    model = m_step(steps[0], rows)
    for number in steps[1:]:
        model = m_step(number, e_step(number - 1, model))
    return model


@dataclass(frozen=True)
class EM(Generic[NetworkT]):
    """What an expectation-maximisation consists of.

    Attributes:
        recipes: of the M-steps, one each. After the last there is no E-step: nothing would use it.
        new_network: number of the M-step -> a network with its first weights, on the device that trains.
        seed: number of the M-step -> the root of its draws.
        loss: (network, completed rows) -> what an M-step minimises.
        complete: (number of the step, network) -> completed rows (N, ...), on the CPU: the E-step.
        warm_start: an M-step goes on from the weights of the last one.
    """

    recipes: Sequence[Recipe]
    new_network: Callable[[int], NetworkT]
    seed: Callable[[int], int]
    loss: Callable[[NetworkT, Tensor], BatchLoss]
    complete: Callable[[int, NetworkT], Tensor]
    warm_start: bool = True

    def run(
        self, start: Callable[[], Tensor], *, checkpoint: Checkpoint = NO_CHECKPOINT, progress: bool = True
    ) -> tuple[NetworkT, list[float]]:
        """All steps: the trained network, and the mean training loss of each epoch of all M-steps.

        Within an M-step and after each E-step, a run that was cut short goes on.

        Args:
            start: -> the completed rows that the first M-step is trained on, (N, ...).
            checkpoint: where a run that is cut short goes on.
            progress: show bars on a terminal.

        Raises:
            DivergenceError, DeviceMemoryError: see `run_training`.
        """
        network = self.new_network(0)
        device = next(network.parameters()).device
        first, curve, rows = self._restore(network, start, checkpoint)

        def m_step(number: int, rows: Tensor) -> NetworkT:
            nonlocal network, curve
            if number > 0 and not self.warm_start:
                network = self.new_network(number)
            training = Training(network, self.recipes[number], num_items=len(rows), seed=self.seed(number))
            loss = self.loss(network, rows.to(device))
            run_training(training, loss, name=f"m_step-{number}", checkpoint=checkpoint, progress=progress)
            network.load_state_dict(training.result())
            curve += training.curve
            return network

        def e_step(number: int, network: NetworkT) -> Tensor:
            rows = self.complete(number, network)
            _save(network, number + 1, curve, rows, checkpoint)
            return rows

        steps = range(first, len(self.recipes))
        return expectation_maximisation(rows, steps=steps, m_step=m_step, e_step=e_step), curve

    def _restore(
        self, network: NetworkT, start: Callable[[], Tensor], checkpoint: Checkpoint
    ) -> tuple[int, list[float], Tensor]:
        stored = checkpoint.load("em")
        if stored is None:
            return 0, [], start()
        weights = {name: value for name, value in stored.items() if name.startswith("network.")}
        network.load_state_dict({name.removeprefix("network."): value for name, value in weights.items()})
        return int(stored["next"]), stored["curve"].tolist(), stored["rows"]


def _save(network: NetworkT, step: int, curve: list[float], rows: Tensor, checkpoint: Checkpoint) -> None:
    """Keep what the next step starts from; what the last one kept on the way is of no more use."""
    state = {"rows": rows, "curve": torch.tensor(curve, dtype=torch.float64), "next": torch.tensor(step)}
    weights = {f"network.{name}": value.cpu() for name, value in network.state_dict().items()}
    checkpoint.save("em", state | weights)
    checkpoint.drop("m_step-")
    checkpoint.drop("e_step-")
