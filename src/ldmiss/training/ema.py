"""Exponential moving average of weights."""

import torch
from torch import Tensor


class EMA:
    """A shadow copy of parameters, with the decay warmed up: min(decay, (1 + n) / (10 + n)) at the n-th update.

    Without the warm-up a short run's average would still be dominated by its first weights.
    """

    def __init__(self, parameters: dict[str, Tensor], decay: float) -> None:
        self.decay = decay
        self.shadow = {name: value.detach().clone() for name, value in parameters.items()}

    @torch.no_grad()
    def update(self, parameters: dict[str, Tensor], num_updates: int) -> None:
        """Move the shadow towards the parameters; `num_updates` counts from 0.

        Raises:
            ValueError: the names differ from those at construction.
        """
        if parameters.keys() != self.shadow.keys():
            raise ValueError("EMA: the parameters are not those it was made for")
        decay = min(self.decay, (1 + num_updates) / (10 + num_updates))
        shadow = [self.shadow[name] for name in parameters]
        torch._foreach_lerp_(shadow, list(parameters.values()), 1 - decay)  # on a GPU one kernel, not one a weight
