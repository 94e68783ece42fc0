"""A stage in a forked process: as `python -m stages`, but without the seconds that importing torch takes."""

import faulthandler
import importlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ldmiss_pipeline.artifacts.paths import Item
from ldmiss_pipeline.config.registry import STAGES

HANG_SECONDS = 300


@dataclass(frozen=True)
class Ended:
    """How a process ended: exit status, or minus the signal that killed it; and what it printed."""

    status: int
    output: str

    def last_line(self) -> str:
        """The last line printed."""
        return (self.output.strip().splitlines() or ["(no output)"])[-1]


class Forked:
    """A running stage: a process group of its own."""

    def __init__(
        self, folder: Path, stage: str, item: Item, *, prepare: Callable[[], None], environment: Mapping[str, str]
    ) -> None:
        self.output = folder / f".{stage}.{time.monotonic_ns()}.output"
        self.pid = os.fork()
        if self.pid == 0:
            _become_stage(folder, [stage, *arguments_of(item)], self.output, prepare, environment)

    def is_running(self) -> bool:
        """Whether it is running still: neither stopped nor ended."""
        return os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def wait(self) -> Ended:
        """Wait for its end; a process that hangs is killed, and its status is then that of SIGALRM."""
        end = time.monotonic() + HANG_SECONDS
        while (waited := os.waitpid(self.pid, os.WNOHANG))[0] == 0:
            if time.monotonic() > end:
                os.kill(self.pid, signal.SIGABRT)  # it prints where it stands
                os.waitpid(self.pid, 0)
                ended = self._ended(-signal.SIGALRM)
                print(ended.output, file=sys.stderr)
                return ended
            time.sleep(0.005)
        return self._ended(os.waitstatus_to_exitcode(waited[1]))

    def _ended(self, status: int) -> Ended:
        text = self.output.read_text(errors="replace") if self.output.exists() else ""
        self.output.unlink(missing_ok=True)
        return Ended(status, text)


def arguments_of(item: Item) -> list[str]:
    """The item's part of a stage's command line."""
    names = {"--missing-rate": item.missing_rate, "--seed": item.seed, "--method": item.method}
    return [text for name, value in names.items() if value is not None for text in (name, str(value))]


def import_everything() -> None:
    """Import what any stage needs, before the first fork."""
    import torch

    torch.set_num_threads(1)  # a child of a process with worker threads would wait for threads that it does not have
    for stage in ("__main__", *STAGES):
        importlib.import_module(f"stages.{stage}")
    import torch_fidelity  # noqa: F401


def _become_stage(
    folder: Path, arguments: list[str], output: Path, prepare: Callable[[], None], environment: Mapping[str, str]
) -> None:
    status = 70
    try:
        os.setpgid(0, 0)
        os.chdir(folder)
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        sys.stdout, sys.stderr = (open(number, "w", buffering=1, closefd=False) for number in (1, 2))  # noqa: SIM115
        faulthandler.enable(sys.stderr)
        os.environ.update(environment)
        from ldmiss_pipeline.running.runner import main

        prepare()
        status = main(arguments)
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)
