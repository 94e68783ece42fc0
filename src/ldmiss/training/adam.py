"""Adam without an optimiser object: making one of torch's imports torch's compiler, which takes as long as torch does.

The update is torch's own fused one, so the weights are bit for bit those of `torch.optim.Adam(fused=True)`.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

BETAS = (0.9, 0.999)
EPS = 1e-8
"""Kingma & Ba 2015, Algorithm 1, and torch's defaults."""


class Adam:
    """Adam on the parameters of a network, each of which has to have a gradient at every step."""

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self._parameters: list[Tensor] = list(parameters)
        self._exp_avgs, self._exp_avg_sqs = ([torch.zeros_like(p) for p in self._parameters] for _ in range(2))
        self._steps = [torch.zeros((), device=p.device) for p in self._parameters]

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """Move the parameters along their gradients.

        Raises:
            ValueError: one has none.
        """
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        if len(gradients) < len(self._parameters):
            raise ValueError("a parameter has no gradient: the loss does not depend on it")
        adam(
            self._parameters, gradients,
            self._exp_avgs, self._exp_avg_sqs, [], self._steps,
            fused=True, amsgrad=False, beta1=BETAS[0], beta2=BETAS[1], lr=lr, weight_decay=0.0, eps=EPS, maximize=False,
        )  # fmt: skip

    def state(self) -> dict[str, Tensor]:
        """The moments and the count of steps, by `<parameter's index>.<name>`; not copies."""
        named = {"step": self._steps, "exp_avg": self._exp_avgs, "exp_avg_sq": self._exp_avg_sqs}
        return {f"{index}.{name}": value for name, values in named.items() for index, value in enumerate(values)}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Continue from what `state` gave.

        Raises:
            KeyError, RuntimeError: it is of other parameters.
        """
        for name, value in self.state().items():
            value.copy_(state[name])  # in place: whatever the memory format, it stays that of the parameter
