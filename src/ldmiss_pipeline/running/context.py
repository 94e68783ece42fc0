"""What the runner hands to a stage beside its params."""

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from ldmiss_pipeline.artifacts.paths import CHECKPOINTS, Item
from ldmiss_pipeline.config.registry import METHODS
from ldmiss_pipeline.config.schema import Params
from ldmiss_pipeline.running.pipeline import StageItem
from ldmiss_pipeline.running.signals import Stop

if TYPE_CHECKING:  # they import torch, which stages that do without it start without
    from ldmiss_pipeline.compute.device import Runtime
    from ldmiss_pipeline.running.checkpoint import FileCheckpoint


@dataclass
class Context:
    """One run of one stage.

    Attributes:
        item: cell and method.
        params: the validated document; a stage reads only the keys that `dvc.yaml` declares for it.
        stage_item: what the run follows from and makes.
        stop: whether the process was asked to leave.
        used: filled with what was resolved on the way, for the record.
    """

    item: Item
    params: Params
    stage_item: StageItem
    stop: Stop = field(default_factory=Stop)
    used: dict[str, Any] = field(default_factory=dict)

    @property
    def stamp(self) -> dict[str, str]:
        """What every artifact of this run says of itself: what made it, and the hash of its params."""
        return self.stage_item.stamp

    @property
    def method(self) -> ModuleType:
        """The method's module, for the stages with one item per method."""
        assert self.item.method is not None
        return importlib.import_module(METHODS[self.item.method])

    @cached_property
    def runtime(self) -> "Runtime":
        """Device, dtype and threads."""
        from ldmiss_pipeline.compute.device import resolve

        runtime = resolve(self.params.compute)
        self.used.update(runtime.record())
        return runtime

    def chunk_size(self, declared: int | Literal["auto"], shape: Sequence[int]) -> int:
        """Rows at a time for this stage, of images (C, H, W); noted for the record."""
        from ldmiss_pipeline.compute.chunk_size import rows_at_a_time

        size = rows_at_a_time(
            self.runtime.device.type, self.stage_item.stage, declared, shape[1] * shape[2], self.item.method
        )
        self.used |= {"chunk_size": size, "chunks_at_a_time": self.runtime.num_at_a_time}
        return size

    @cached_property
    def checkpoint(self) -> "FileCheckpoint":
        """The checkpoints of this very work; its key takes hashing the inputs."""
        from ldmiss_pipeline.running.checkpoint import FileCheckpoint

        key = self.stage_item.key(self.runtime.key())
        folder = CHECKPOINTS / f"{self.stage_item.label}-{key[:16]}"
        for other in sorted(CHECKPOINTS.glob(f"{self.stage_item.label}-*")):
            if other != folder:
                print(
                    f"warning: checkpoint {other} left aside: it is of other work (params, code, inputs or machine "
                    "were different); remove it if you will not go back",
                    file=sys.stderr,
                )
        return FileCheckpoint(folder, key, self.stop)
