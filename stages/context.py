"""What the runner hands to a stage beside its params."""

from dataclasses import dataclass, field
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from stages.checkpoint import Checkpoint
    from stages.paths import Item
    from stages.runtime import Runtime
    from stages.schema import Params


@dataclass
class Context:
    """One run of one stage.

    Attributes:
        item: cell and method.
        params: the validated document; a stage reads only the keys that `dvc.yaml` declares for it.
        checkpoint_folder: () -> folder of this very work's checkpoints; hashes the inputs, hence a function.
        method: the method's module, for the stages with one item per method.
        used: filled with what was resolved on the way, for the record.
    """

    item: "Item"
    params: "Params"
    checkpoint_folder: Any
    method: ModuleType | None = None
    used: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def runtime(self) -> "Runtime":
        """Device, dtype and threads; imports torch, so that stages without it stay light."""
        from stages.runtime import resolve

        runtime = resolve(self.params.compute)
        self.used.update(runtime.record())
        return runtime

    @cached_property
    def checkpoint(self) -> "Checkpoint":
        """The checkpoints of this very work."""
        from stages.checkpoint import Checkpoint

        folder: Path = self.checkpoint_folder(self.runtime.record())
        return Checkpoint(folder)
