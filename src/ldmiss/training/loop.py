"""The one training loop: restartable at every step, and with no state but what it is given.

All randomness of a step follows from (seed, step), and the order of an epoch from (seed, epoch), so a run that goes
on from a snapshot is bit-identical to one that was never cut short. What to do with snapshots and progress is the
caller's affair.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ldmiss.checks import check_choice, check_count, check_number
from ldmiss.core.noise import torch_generator
from ldmiss.errors import DivergenceError
from ldmiss.training.adam import Adam
from ldmiss.training.ema import EMA
from ldmiss.training.schedules import LR_SCHEDULES, lr_at, plateau_factor

BatchLoss = Callable[[Tensor, torch.Generator], Tensor]
"""(indices of the batch's items, int64 (B,); the step's generator, both on the device) -> mean loss, ()."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained (paper A.2: Adam, batch 256, 50 epochs, a constant rate, no average, no clipping).

    Attributes:
        epochs: passes over the training set, at most.
        batch_size: items per step; the last batch of an epoch may be smaller.
        lr, lr_schedule: see `lr_at`; or "plateau", see `plateau_factor`.
        ema_decay: keep this average of the weights instead of the last ones.
        grad_clip: largest L2 norm of the gradient.
        early_stop: stop after so many epochs without a new lowest training loss, and keep the weights of the lowest
            (DiffPuter's M-step).
        min_steps: of the optimiser; small training sets are passed over more often than `epochs` until it took so many.

    Raises:
        InputError: a number out of range, or an unknown schedule.
    """

    epochs: int
    batch_size: int
    lr: float
    lr_schedule: str = "constant"
    ema_decay: float | None = None
    grad_clip: float | None = None
    early_stop: int | None = None
    min_steps: int | None = None

    def __post_init__(self) -> None:
        check_count("epochs", self.epochs)
        check_count("batch_size", self.batch_size)
        check_number("lr", self.lr, least=0)
        check_choice("lr_schedule", self.lr_schedule, LR_SCHEDULES)
        if self.ema_decay is not None:
            check_number("ema_decay", self.ema_decay, least=0, below=1)
        if self.grad_clip is not None:
            check_number("grad_clip", self.grad_clip, above=0)
        if self.early_stop is not None:
            check_count("early_stop", self.early_stop)
        if self.min_steps is not None:
            check_count("min_steps", self.min_steps)


class Training:
    """A training run of one network: its weights, optimiser, average, position and loss curve.

    Args:
        network: updated in place.
        recipe: how to train.
        num_items: size of the training set.
        seed: of the data order and every random draw of the steps.
    """

    def __init__(self, network: nn.Module, recipe: Recipe, *, num_items: int, seed: int) -> None:
        self.network, self.recipe, self.num_items, self.seed = network, recipe, num_items, seed
        self.device = next(network.parameters()).device
        self.optimizer = Adam(network.parameters())
        self.ema = EMA(dict(network.named_parameters()), recipe.ema_decay) if recipe.ema_decay else None
        self.steps_per_epoch = -(-num_items // recipe.batch_size)
        num_epochs = max(recipe.epochs, -(-(recipe.min_steps or 0) // self.steps_per_epoch))
        self.num_steps = num_epochs * self.steps_per_epoch
        self.step = 0
        self.curve: list[float] = []
        """The mean loss of each finished epoch."""
        self._losses: list[Tensor] = []  # of the current epoch's steps
        self._best: dict[str, Tensor] = {}
        self._plateau = 1.0

    def run(self, batch_loss: BatchLoss, on_step: Callable[["Training"], None] | None = None) -> None:
        """Train from the current step to the end; `on_step` is called after each step.

        Raises:
            DivergenceError: the loss is not finite; names the step.
        """
        self.network.train()
        order = self._epoch_order()
        while self.step < self.num_steps and not self._stopped():
            position = self.step % self.steps_per_epoch
            if position == 0:
                order = self._epoch_order()
            batch = order[position * self.recipe.batch_size : (position + 1) * self.recipe.batch_size]
            loss = batch_loss(batch, torch_generator(self.device, self.seed, "step", self.step))
            self._update(loss)
            if position == self.steps_per_epoch - 1:
                self._end_epoch()
            self.step += 1
            if on_step is not None:
                on_step(self)
        self.network.eval()

    def _epoch_order(self) -> Tensor:
        # Drawn on the CPU: the same order on every device.
        generator = torch_generator("cpu", self.seed, "order", self.step // self.steps_per_epoch)
        return torch.randperm(self.num_items, generator=generator).to(self.device)

    def _end_epoch(self) -> None:
        self._check_finite()
        self.curve.append(float(torch.stack(self._losses).double().mean()))
        self._losses = []
        self._plateau = plateau_factor(self.curve)
        if self.recipe.early_stop is not None and self.curve[-1] == min(self.curve):
            self._best = {name: value.detach().clone() for name, value in self.network.state_dict().items()}

    def _stopped(self) -> bool:
        patience = self.recipe.early_stop
        return (
            patience is not None
            and bool(self.curve)
            and len(self.curve) - 1 - self.curve.index(min(self.curve)) >= patience
        )

    def _lr(self) -> float:
        if self.recipe.lr_schedule == "plateau":
            return self.recipe.lr * self._plateau
        return lr_at(self.recipe.lr_schedule, self.step, self.num_steps, self.recipe.lr)

    def _update(self, loss: Tensor) -> None:
        self.network.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if self.recipe.grad_clip is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.grad_clip)
        self.optimizer.step(self._lr())
        if self.ema is not None:
            self.ema.update(dict(self.network.named_parameters()), self.step)
        self._losses.append(loss.detach())
        if self.device.type == "cpu":  # reading a loss costs nothing here; on a GPU it would stall the queue
            self._check_finite(first=len(self._losses) - 1)

    def _check_finite(self, *, first: int = 0) -> None:
        losses = self._losses[first:]
        finite = torch.isfinite(torch.stack(losses)) if losses else torch.ones(0, dtype=torch.bool)
        if not bool(finite.all()):
            position = first + int((~finite).nonzero()[0])
            step = self.step // self.steps_per_epoch * self.steps_per_epoch + position
            raise DivergenceError(f"the training loss is not finite at step {step}: lower the learning rate (lr)")

    def _check_weights(self) -> None:
        if not all(bool(torch.isfinite(value).all()) for value in self.network.state_dict().values()):
            raise DivergenceError(
                f"the weights are not finite after step {self.step - 1}: lower the learning rate (lr)"
            )

    def result(self) -> dict[str, Tensor]:
        """The weights to keep: the best or the average where there is one, else the last; CPU, float32.

        Raises:
            DivergenceError: they are not finite.
        """
        self._check_weights()
        state = {name: value.detach() for name, value in self.network.state_dict().items()}
        state |= self._best or (self.ema.shadow if self.ema else {})
        return {name: value.cpu().contiguous().clone() for name, value in state.items()}

    def last_loss(self) -> float:
        """The loss of the last step, or of the last epoch where one has just ended."""
        return float(self._losses[-1]) if self._losses else self.curve[-1]

    def snapshot(self) -> dict[str, Tensor]:
        """Everything needed to go on: weights, optimiser, average, position, loss curve; CPU tensors by flat name.

        Raises:
            DivergenceError: a loss or a weight is not finite; nothing can go on from there.
        """
        self._check_finite()
        self._check_weights()
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"optimizer.{name}": value for name, value in self.optimizer.state().items()}
        if self.ema is not None:
            tensors |= {f"ema.{name}": value for name, value in self.ema.shadow.items()}
        tensors |= {f"best.{name}": value for name, value in self._best.items()}
        tensors["losses"] = torch.stack(self._losses) if self._losses else torch.empty(0)
        tensors["curve"] = torch.tensor(self.curve, dtype=torch.float64)
        tensors["step"] = torch.tensor(self.step)
        return {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Continue from a snapshot of the same run.

        Raises:
            KeyError, RuntimeError: the snapshot is of another network.
        """
        groups: dict[str, dict[str, Tensor]] = {"network": {}, "optimizer": {}, "ema": {}, "best": {}}
        for name, value in tensors.items():
            kind, _, rest = name.partition(".")
            if kind in groups:
                groups[kind][rest] = value.to(self.device)
        self.network.load_state_dict(groups["network"])
        self.optimizer.restore(groups["optimizer"])
        if self.ema is not None:
            self.ema.shadow = groups["ema"]
        self._best = groups["best"]
        self._losses = list(tensors["losses"].to(self.device))
        self.curve = tensors["curve"].tolist()
        self._plateau = plateau_factor(self.curve)
        self.step = int(tensors["step"])
