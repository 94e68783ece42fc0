"""The state of a sampler within one call, kept after each step: a call that is cut short goes on where it was."""

import torch
from torch import Tensor

from ldmiss.checkpoints import NO_CHECKPOINT, Checkpoint
from ldmiss.core.noise import RowNoise


class SavedSteps:
    """Where one call of a sampler keeps its state: some tensors, the number of the step, and how much noise was drawn.

    Args:
        checkpoint, slot: where.
        noise: the very object that the sampler draws from; it goes on with the numbers that would have come next.
    """

    def __init__(self, checkpoint: Checkpoint, slot: str, noise: RowNoise) -> None:
        self._checkpoint, self._slot, self._noise = checkpoint, slot, noise

    def restore(self, x: Tensor) -> tuple[int, list[Tensor]]:
        """The step to go on with and the state there, x its first tensor; (0, [x]) where none was kept of this size."""
        stored = self._checkpoint.load(self._slot)
        if stored is None or stored["state0"].shape != x.shape or stored["state0"].dtype != x.dtype:
            return 0, [x]
        self._noise.num_calls = int(stored["num_calls"])
        names = sorted(name for name in stored if name.startswith("state"))
        return int(stored["step"]), [stored[name].to(x.device) for name in names]

    def offer(self, step: int, *state: Tensor) -> None:
        """Offer the state before this step; the tensors must not be changed in place afterwards."""
        num_calls = self._noise.num_calls

        def make() -> dict[str, Tensor]:
            numbers = {"step": torch.tensor(step), "num_calls": torch.tensor(num_calls)}
            return numbers | {f"state{place}": tensor.cpu() for place, tensor in enumerate(state)}

        self._checkpoint.offer(self._slot, make)


NOT_SAVED = SavedSteps(NO_CHECKPOINT, "", RowNoise(0, torch.zeros(1, dtype=torch.int64)))
"""Nothing is kept."""
