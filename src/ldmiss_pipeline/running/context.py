"""What the runner hands to a stage beside its params."""

import sys
from dataclasses import dataclass, field
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ldmiss_pipeline.artifacts.paths import CHECKPOINTS
from ldmiss_pipeline.running.signals import Stop

if TYPE_CHECKING:
    from ldmiss_pipeline.artifacts.paths import Item
    from ldmiss_pipeline.compute.device import Runtime
    from ldmiss_pipeline.config.schema import Params
    from ldmiss_pipeline.running.checkpoint import Checkpoint
    from ldmiss_pipeline.running.pipeline import Work


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
        from ldmiss_pipeline.compute.device import resolve

        runtime = resolve(self.params.compute)
        self.used.update(runtime.record())
        return runtime

    @cached_property
    def checkpoint(self) -> "Checkpoint":
        """The checkpoints of this very work; its key takes hashing the inputs."""
        from ldmiss_pipeline.running.checkpoint import Checkpoint

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
