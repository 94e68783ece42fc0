"""A checkpoint in memory that cuts the run at every safe point."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from torch import Tensor

from ldmiss.checkpoints import MakeTensors

ResultT = TypeVar("ResultT")


class Cut(BaseException):
    """The run ends here, as by a kill."""


class MemoryCheckpoint:
    """Slots of copies; raises `Cut` right after every save."""

    def __init__(self) -> None:
        self.slots: dict[str, dict[str, Tensor]] = {}
        self.num_cuts = 0

    def load(self, slot: str) -> dict[str, Tensor] | None:
        """A copy of a slot."""
        return {name: value.clone() for name, value in self.slots[slot].items()} if slot in self.slots else None

    def save(self, slot: str, tensors: Mapping[str, Tensor]) -> None:
        """Keep a copy, and cut the run."""
        self.slots[slot] = {name: value.clone() for name, value in tensors.items()}
        self.num_cuts += 1
        raise Cut

    def offer(self, slot: str, make: MakeTensors) -> bool:
        """Every offer is taken."""
        self.save(slot, make())
        return True

    def drop(self, prefix: str) -> None:
        """Remove slots."""
        self.slots = {name: value for name, value in self.slots.items() if not name.startswith(prefix)}


def result_of_cut_runs(run: Callable[[MemoryCheckpoint], ResultT]) -> tuple[ResultT, int]:
    """What a run gives that is cut at every safe point and started again each time, and how often it was cut."""
    checkpoint = MemoryCheckpoint()
    while True:
        try:
            return run(checkpoint), checkpoint.num_cuts
        except Cut:
            continue
