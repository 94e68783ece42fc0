"""Workers on this host, by submitit's LocalExecutor: no service, nothing to install."""

import os
import signal
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import psutil

from ldmiss.errors import InputError
from ldmiss_pipeline.grid.engines.interface import Job, Resources

FOREVER = 10**6
"""Minutes: submitit wants a limit."""
_LEAVE_SECONDS = 40.0
_CONTROLLER = "submitit.local._local"


class Local:
    """Jobs are processes: submitit's controllers, which outlive the coordinator, and what they start.

    A controller has the folder that submitit writes to on its command line from its first moment on. Each job has one
    of its own, of its name, by which it is found.

    Args:
        folder: for those.
        resources: of each cell; cells share the GPUs that `CUDA_VISIBLE_DEVICES` or nvidia-smi names.
    """

    sees_folder = True
    python = sys.executable
    poll_seconds = 2.0

    def __init__(self, folder: Path, resources: Resources) -> None:
        self._folder, self._resources, self._gpus = folder, resources, visible_gpus()
        self._slots: dict[str, str] = {}

    def check(self) -> None:
        """Raises as the interface says."""
        if self._resources.minutes is not None:
            raise InputError("--time: the engine local has no time limit; leave it out")
        if self._resources.gpus > len(self._gpus):
            raise InputError(
                f"--gpus-per-cell: {self._resources.gpus:g} wanted, this host has {len(self._gpus)} GPUs; "
                "0 runs on the CPU (with compute.device: cpu or auto)"
            )

    def submit(self, job: Job) -> None:
        """Start it."""
        from submitit import LocalExecutor
        from submitit.helpers import CommandFunction

        executor = LocalExecutor(self._folder / job.name)
        executor.update_parameters(timeout_min=FOREVER)
        gpus = self._free_gpus()
        environment = job.environment | {"CUDA_VISIBLE_DEVICES": gpus}
        command = ["env", *(f"{name}={value}" for name, value in environment.items()), *job.command]
        # Ctrl-C reaches all of them: the worker leaves in good order, and submitit's processes have to wait for it.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            executor.submit(CommandFunction(command, verbose=False, cwd=job.folder))
        finally:
            signal.signal(signal.SIGINT, before)
        self._slots[job.name] = gpus

    def active(self, names: Collection[str]) -> set[str]:
        """Those whose controller lives."""
        return set(self._controllers(names))

    def cancel(self, names: Collection[str]) -> None:
        """SIGTERM to the workers, SIGKILL to what is left of them after a while."""
        controllers = self._controllers(names).values()
        processes = [process for controller in controllers for process in _with_children(controller)]
        for process in processes:
            if _is_worker(process):
                process.terminate()
        _, left = psutil.wait_procs(processes, timeout=_LEAVE_SECONDS)
        for process in left:
            process.kill()

    def output(self, job: str) -> str:
        """What submitit kept."""
        return submitit_output(self._folder / job)

    def _free_gpus(self) -> str:
        """The GPUs that most is left of, comma-separated; none for a cell without."""
        if self._resources.gpus == 0:
            return ""
        active = self.active(self._slots)
        used = [gpu for job in active for gpu in self._slots[job].split(",")]
        by_use = sorted(self._gpus, key=used.count)
        return ",".join(by_use[: max(1, round(self._resources.gpus))])

    def _controllers(self, names: Collection[str]) -> dict[str, psutil.Process]:
        """The controllers that live, by job."""
        ends = {(_CONTROLLER, str(self._folder / name)): name for name in names}
        found = ((tuple(process.info["cmdline"] or ())[-2:], process) for process in psutil.process_iter(["cmdline"]))
        return {ends[end]: process for end, process in found if end in ends}


def submitit_output(folder: Path) -> str:
    """What the job of submitit's in a folder printed to standard error."""
    return "".join(path.read_text(errors="replace") for path in sorted(folder.glob("*_log.err")))


def visible_gpus() -> list[str]:
    """The GPUs of this host that may be used, as `CUDA_VISIBLE_DEVICES` names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name]
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], check=True, capture_output=True, text=True).stdout  # noqa: S607
    except (OSError, subprocess.CalledProcessError):
        return []
    return [str(number) for number, _ in enumerate(listed.splitlines())]


def _with_children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "ldmiss_pipeline.grid.worker" in process.cmdline() and process.cmdline()[0] != "env"
    except psutil.Error:
        return False
