"""What a long computation asks of a checkpoint; where it is kept is the caller's affair (the pipeline keeps files)."""

from collections.abc import Callable, Mapping
from typing import Protocol

from torch import Tensor

MakeTensors = Callable[[], Mapping[str, Tensor]]


class Checkpoint(Protocol):
    """Named slots of tensors."""

    def load(self, slot: str) -> dict[str, Tensor] | None:
        """The tensors of a slot (on the CPU), or None where there is nothing to go on from."""
        ...

    def save(self, slot: str, tensors: Mapping[str, Tensor]) -> None:
        """Write a slot now, replacing what it held."""
        ...

    def offer(self, slot: str, make: MakeTensors) -> bool:
        """At a safe point: the state of a slot, made only if it is saved now. Whether it was."""
        ...

    def drop(self, prefix: str) -> None:
        """Remove the slots whose names start with `prefix`."""
        ...


class NoCheckpoint:
    """Keeps nothing: a computation that is cut short starts over."""

    def load(self, slot: str) -> dict[str, Tensor] | None:
        """Nothing is there."""
        return None

    def save(self, slot: str, tensors: Mapping[str, Tensor]) -> None:
        """Nothing is kept."""

    def offer(self, slot: str, make: MakeTensors) -> bool:
        """Nothing is kept."""
        return False

    def drop(self, prefix: str) -> None:
        """Nothing is there."""


NO_CHECKPOINT = NoCheckpoint()
