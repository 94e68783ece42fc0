"""Real clones in which real `dvc repro` runs: one clean run, and copies of it in which some items are to be made."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from support.imports import ROOT

from faults.events import Stop
from faults.forked import HANG_SECONDS, Ended
from faults.real import environment

CELL = "0.5-42"
OVERRIDES = ["profile=smoke", "compute.num_threads=1", "sample.chunk_size=8", "diffputer.em.e_step.chunk_size=1000"]
VAE, LATENTS, DIFFPUTER, SAMPLE = (
    f"train_vae@{CELL}", f"encode_latents@{CELL}", f"train_diffputer@{CELL}", f"sample@{CELL}-ldmiss",
)  # fmt: skip
TARGETS = [SAMPLE, DIFFPUTER]
"""What the clean run makes, and all before it."""


@dataclass
class Running:
    """A process that was started in a clone, with its children a process group of its own."""

    process: "subprocess.Popen[str]"

    def signal(self, number: int) -> None:
        """Signal the whole group."""
        os.killpg(self.process.pid, number)

    def wait(self) -> Ended:
        """Wait for its end and that of its group's; a group that hangs is killed."""
        try:
            output, _ = self.process.communicate(timeout=HANG_SECONDS)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGABRT)  # each Python process prints where it stands
            output, _ = self.process.communicate()
            print(output, file=sys.stderr)
            return Ended(-signal.SIGALRM, output)
        return Ended(self.process.returncode, output)


class Clones:
    """A clone of HEAD in which DVC made `TARGETS`, and copies of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clean = folder, folder / "clean"
        self._numbers = itertools.count()
        folder.mkdir()
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(self.clean)], check=True)
        for command in ([sys.executable, "-m", "ldmiss_pipeline", "compose", *OVERRIDES], ["dvc", "repro", *TARGETS]):
            ended = self.start(self.clean, *command).wait()
            if ended.status != 0:
                raise RuntimeError(f"{' '.join(command)} fails without any fault: {ended.output}")
        shutil.rmtree(self.clean / "runs")

    def start(
        self, folder: Path, *command: str, stop: Stop | None = None, extra: Mapping[str, str] | None = None
    ) -> Running:
        """Start a command in a clone, as a user would, with events logged there."""
        path = [folder / "src", folder, ROOT / "tests", ROOT / "tests/faults/site"]
        variables = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(map(str, path)),
            "DVC_NO_ANALYTICS": "1", "PYTHONFAULTHANDLER": "1", "DVC_SITE_CACHE_DIR": str(self.folder / "site"),
            "LDMISS_CHECKPOINT_SECONDS": "0", **environment(folder, stop), **(extra or {}),
        }  # fmt: skip
        process = subprocess.Popen(
            command, cwd=folder, env=variables, start_new_session=True, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return Running(process)

    def fresh(self, *items: str, recorded: bool = False) -> Path:
        """A copy in which DVC knows nothing of these items: no outs, no entry in dvc.lock, nothing in its cache.

        Args:
            recorded: dvc.lock has them all the same, as in a new clone of a finished project.
        """
        folder = self.folder / f"try-{next(self._numbers)}"
        shutil.copytree(self.clean, folder, symlinks=True, ignore=shutil.ignore_patterns("ckpt", "runs", ".events*"))
        lock = folder / "dvc.lock"
        document = yaml.safe_load(lock.read_text())
        for item in items:
            for out in (document["stages"][item] if recorded else document["stages"].pop(item))["outs"]:
                _remove(folder / out["path"])
                _remove(folder / ".dvc/cache/files/md5" / out["md5"][:2] / out["md5"][2:])
        lock.write_text(yaml.safe_dump(document, sort_keys=False))
        return folder

    def repro(self, folder: Path, *targets: str, **options: Any) -> Ended:
        """`dvc repro` to its end."""
        return self.start(folder, "dvc", "repro", *targets, **options).wait()

    def difference(self, folder: Path, *items: str) -> str | None:
        """What differs from the clean run, in one line: the items in dvc.lock, the files, and what is left behind."""
        made, expected = (_stages(place / "dvc.lock") for place in (folder, self.clean))
        wrong = [item for item in items if made.get(item) != expected[item]]
        if wrong:
            return f"dvc.lock other than in the clean run: {', '.join(wrong)}"
        for path in (Path(out["path"]) for item in items for out in expected[item]["outs"]):
            if (folder / path).read_bytes() != (self.clean / path).read_bytes():
                return f"{path}: other than in the clean run, though dvc.lock is the same"
        # A checkpoint goes with the next stage that starts: the last item's may still be there.
        left = [path for item in items[:-1] for path in folder.glob(f"ckpt/{item}-*")]
        left += [path for part in ("data", "models", "metrics", "ckpt") for path in (folder / part).rglob(".*.tmp")]
        return f"left behind: {', '.join(str(path.relative_to(folder)) for path in left)}" if left else None


def wait_until(condition: Any, seconds: float = 60.0) -> bool:
    """Poll until the condition holds; whether it did in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def _stages(lock: Path) -> dict[str, Any]:
    stages: dict[str, Any] = yaml.safe_load(lock.read_text())["stages"]
    return stages


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
