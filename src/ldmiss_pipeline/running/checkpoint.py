"""Checkpoints outside DVC's outs (DVC deletes outs before a run): `ckpt/<label>-<key>/`.

They are removed when the work is done: see `ldmiss_pipeline.running.finished`.

The key hashes everything that defines the work, so that a checkpoint of other work is never found; each file in the
folder repeats it. A checkpoint that cannot be read, or that is of other work, is left out with a warning.
"""

import os
import shutil
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from ldmiss.checkpoints import MakeTensors
from ldmiss.errors import InputError
from ldmiss.files.atomic import sweep_temporaries
from ldmiss.files.tensors import load_tensors, save_tensors
from ldmiss_pipeline.running.finished import REMOVED, remove_folder
from ldmiss_pipeline.running.signals import Stop

SECONDS_BETWEEN = 30.0
INTERVAL_VARIABLE = "LDMISS_CHECKPOINT_SECONDS"
"""Environment variable with another number of seconds between two checkpoints; 0: after every step and chunk."""
MAX_SHARE = 0.02
"""Saving takes at most this share of the time: where a checkpoint is large, the interval is longer."""


def seconds_between() -> float:
    """The wanted interval between two checkpoints.

    Raises:
        InputError: the environment variable is no number of seconds.
    """
    text = os.environ.get(INTERVAL_VARIABLE)
    if text is None:
        return SECONDS_BETWEEN
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise InputError(f"{INTERVAL_VARIABLE}: {text!r} is no number of seconds; allowed: 0 or more")
    return seconds


class FileCheckpoint:
    """Named slots of tensors in one folder, each written atomically: a `Checkpoint` of the library.

    Work that goes on *offers* its state to a slot again and again; now and then everything offered since the last
    time is saved. So a slot whose work has ended is saved with the next one, and a kill at any moment costs one
    interval.

    Args:
        folder: of this work alone.
        key: of the work; files with another key are refused.
        stop: whether the process was asked to leave.
    """

    def __init__(self, folder: Path, key: str, stop: Stop | None = None) -> None:
        self.folder, self.key, self.stop = folder, key, stop or Stop()
        for half_removed in folder.parent.glob(f"{REMOVED}*"):
            shutil.rmtree(half_removed, ignore_errors=True)
        sweep_temporaries(folder)
        self.seconds_saving = 0.0
        self.restored: list[str] = []
        self._offered: dict[str, MakeTensors] = {}
        self._lock = threading.Lock()  # chunks that are computed side by side offer their steps
        self._interval = seconds_between()
        self._last_saved = time.monotonic()
        self._last_cost = 0.0

    def load(self, slot: str) -> dict[str, Tensor] | None:
        """The tensors of a slot, or None where there is nothing usable."""
        path = self._path(slot)
        if not path.exists():
            return None
        try:
            tensors, metadata = load_tensors(path, kind="checkpoint")
            if metadata.get("key") != self.key:
                raise InputError(f"{path}: of other work (params, code, inputs or machine were different)")
        except InputError as error:
            print(f"warning: checkpoint ignored: {error}", file=sys.stderr)
            return None
        if not self.restored:
            step = f", step {int(tensors['step'])}" if "step" in tensors else ""
            print(f"goes on from checkpoint {path}{step}", file=sys.stderr)
        self.restored.append(slot)
        return tensors

    def save(self, slot: str, tensors: Mapping[str, Tensor]) -> None:
        """Write a slot now, replacing what it held."""
        start = time.monotonic()
        save_tensors(self._path(slot), tensors, kind="checkpoint", metadata={"key": self.key})
        self._charge(time.monotonic() - start)

    def offer(self, slot: str, make: MakeTensors) -> bool:
        """Offer the state of a slot at a safe point; it is made only if it is saved. Whether it was.

        Raises:
            Stopped: the process was asked to leave; everything offered was saved.
        """
        with self._lock:
            self._offered[slot] = make
            if not (self.stop.asked or self._due()):
                return False
            start, before = time.monotonic(), self.seconds_saving
            for name in list(self._offered):
                self.save(name, self._offered.pop(name)())
            self.seconds_saving = before
            self._charge(time.monotonic() - start)  # with the making of the tensors
        self.stop.leave()
        return True

    def _charge(self, seconds: float) -> None:
        self.seconds_saving += seconds
        self._last_saved, self._last_cost = time.monotonic(), seconds

    def _due(self) -> bool:
        wait = max(self._interval, self._last_cost / MAX_SHARE) if self._interval else 0.0
        return time.monotonic() - self._last_saved >= wait

    def drop(self, prefix: str) -> None:
        """Remove the slots whose names start with `prefix`."""
        with self._lock:
            self._offered = {slot: make for slot, make in self._offered.items() if not slot.startswith(prefix)}
            for path in self.folder.glob(f"{prefix}*.safetensors"):
                path.unlink()

    def remove(self) -> None:
        """Remove the whole folder: the work is done."""
        if self.folder.exists():
            remove_folder(self.folder)

    def _path(self, slot: str) -> Path:
        return self.folder / f"{slot}.safetensors"
