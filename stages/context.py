"""What the runner hands to a stage beside its params."""

import sys
from dataclasses import dataclass, field
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any

from stages.paths import CHECKPOINTS
from stages.stop import Stop

if TYPE_CHECKING:
    from stages.checkpoint import Checkpoint
    from stages.paths import Item
    from stages.runtime import Runtime
    from stages.schema import Params
    from stages.work import Work


@dataclass
class Context:
    """One run of one stage.

    Attributes:
        item: cell and method.
        params: the validated document; a stage reads only the keys that `dvc.yaml` declares for it.
        work: what the run follows from and makes.
        method: the method's module, for the stages with one item per method.
        stop: whether the process was asked to leave.
        used: filled with what was resolved on the way, for the record.
    """

    item: "Item"
    params: "Params"
    work: "Work"
    method: ModuleType | None = None
    stop: Stop = field(default_factory=Stop)
    used: dict[str, Any] = field(default_factory=dict)

    @property
    def stamp(self) -> dict[str, str]:
        """Facts that every artifact of this run carries: what made it, and the hash of its params."""
        return self.work.stamp

    @cached_property
    def runtime(self) -> "Runtime":
        """Device, dtype and threads; imports torch, so that stages without it stay light."""
        from stages.runtime import resolve

        runtime = resolve(self.params.compute)
        self.used.update(runtime.record())
        return runtime

    @cached_property
    def checkpoint(self) -> "Checkpoint":
        """The checkpoints of this very work; its key takes hashing the inputs."""
        from stages.checkpoint import Checkpoint

        key = self.work.key(self.runtime.record())
        folder = CHECKPOINTS / f"{self.work.label}-{key[:16]}"
        for other in sorted(CHECKPOINTS.glob(f"{self.work.label}-*")):
            if other != folder:
                print(
                    f"warning: checkpoint {other} left aside: it is of other work (params, code, inputs or machine "
                    "were different); remove it if you will not go back",
                    file=sys.stderr,
                )
        return Checkpoint(folder, key, self.stop)
