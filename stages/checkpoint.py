"""Checkpoints outside DVC's outs (DVC deletes outs before a run): `ckpt/<key>/`, removed when the stage succeeds.

The key hashes everything that defines the work, so that a checkpoint of other work is never found. A checkpoint that
cannot be read is left aside with a warning.
"""

import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ldmiss.errors import InputError
from stages.io import load_tensors, save_tensors

if TYPE_CHECKING:
    from torch import Tensor

    from ldmiss.training.loop import Training

SECONDS_BETWEEN = 30.0
"""Saving takes well under 2 % of this for the networks here."""


class Checkpoint:
    """Named slots of tensors in one folder, each written atomically."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, slot: str) -> dict[str, "Tensor"] | None:
        """The tensors of a slot, or None where there is nothing usable."""
        path = self._path(slot)
        if not path.exists():
            return None
        try:
            return load_tensors(path, kind="checkpoint")[0]
        except InputError as error:
            print(f"warning: checkpoint ignored: {error}", file=sys.stderr)
            return None

    def save(self, slot: str, tensors: Mapping[str, "Tensor"]) -> None:
        """Write a slot, replacing what it held."""
        save_tensors(self._path(slot), tensors, kind="checkpoint", facts={})

    def drop(self, prefix: str) -> None:
        """Remove the slots whose names start with `prefix`."""
        for path in self.folder.glob(f"{prefix}*.safetensors"):
            path.unlink()

    def remove(self) -> None:
        """Remove the whole folder: the work is done."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def chunk(self, slot: str, compute: Callable[[], "Tensor"]) -> "Tensor":
        """A chunk of a long inference: the stored one, or computed now and stored. CPU."""
        stored = self.load(slot)
        if stored is not None and "chunk" in stored:
            return stored["chunk"]
        value = compute().cpu().contiguous()
        if not bool(torch.isfinite(value).all()):
            raise InputError(
                f"{slot}: values that are not finite: the sampler diverged; more num_steps or more training"
            )
        self.save(slot, {"chunk": value})
        return value

    def resume(self, training: "Training", slot: str) -> Callable[["Training"], None]:
        """Restore a training run from its slot, and give the callback that saves it from time to time."""
        stored = self.load(slot)
        if stored is not None:
            training.restore(stored)
        last_saved = time.monotonic()

        def on_step(training: "Training") -> None:
            nonlocal last_saved
            if time.monotonic() - last_saved >= SECONDS_BETWEEN:
                self.save(slot, training.snapshot())
                last_saved = time.monotonic()

        return on_step

    def _path(self, slot: str) -> Path:
        return self.folder / f"{slot}.safetensors"


def in_chunks(
    checkpoint: Checkpoint,
    slot: str,
    num_rows: int,
    chunk_size: int,
    compute: Callable[[slice], "Tensor"],
    advance: Callable[[int], object],
) -> "Tensor":
    """Rows computed chunk by chunk, each stored as soon as it is done: (num_rows, ...), CPU.

    Args:
        slot: name of these chunks in the checkpoint.
        compute: a slice of the rows -> their results.
        advance: told the number of rows done, for the progress bar.
    """
    chunks = []
    for start in range(0, num_rows, chunk_size):
        rows = slice(start, min(start + chunk_size, num_rows))
        chunks.append(checkpoint.chunk(f"{slot}-{start}-{rows.stop}", lambda rows=rows: compute(rows)))  # type: ignore[misc]
        advance(rows.stop - rows.start)
    return torch.cat(chunks)
