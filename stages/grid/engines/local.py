"""Workers on this host, by submitit's LocalExecutor: no service, nothing to install."""

import os
import signal
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import psutil

from ldmiss.errors import InputError
from stages.grid.engines.interface import Job, Resources

FOREVER = 10**6
"""Minutes: submitit wants a limit."""
_LEAVE_SECONDS = 40.0


class Local:
    """Jobs are processes; their ids are those of submitit's controllers, which outlive the coordinator.

    Args:
        folder: for what submitit writes.
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

    def submit(self, job: Job) -> str:
        """Start it."""
        from submitit import LocalExecutor
        from submitit.helpers import CommandFunction

        executor = LocalExecutor(self._folder)
        executor.update_parameters(timeout_min=FOREVER)
        gpus = self._free_gpus()
        environment = job.environment | {"CUDA_VISIBLE_DEVICES": gpus}
        command = ["env", *(f"{name}={value}" for name, value in environment.items()), *job.command]
        # Ctrl-C reaches all of them: the worker leaves in good order, and submitit's processes have to wait for it.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            job_id = str(executor.submit(CommandFunction(command, verbose=False, cwd=job.folder)).job_id)
        finally:
            signal.signal(signal.SIGINT, before)
        self._slots[job_id] = gpus
        return job_id

    def active(self, ids: Collection[str]) -> set[str]:
        """Those whose controller lives."""
        return {job for job in ids if self._controller(job) is not None}

    def cancel(self, ids: Collection[str]) -> None:
        """SIGTERM to the workers, SIGKILL to what is left of them after a while."""
        processes = [process for job in ids for process in self._processes(job)]
        for process in processes:
            if _is_worker(process):
                process.terminate()
        _, left = psutil.wait_procs(processes, timeout=_LEAVE_SECONDS)
        for process in left:
            process.kill()

    def output(self, job: str) -> str:
        """What submitit kept."""
        return submitit_output(self._folder, job)

    def _free_gpus(self) -> str:
        """The GPUs that most is left of, comma-separated; none for a cell without."""
        if self._resources.gpus == 0:
            return ""
        active = self.active(self._slots)
        used = [gpu for job in active for gpu in self._slots[job].split(",")]
        by_use = sorted(self._gpus, key=used.count)
        return ",".join(by_use[: max(1, round(self._resources.gpus))])

    def _controller(self, job: str) -> psutil.Process | None:
        try:
            process = psutil.Process(int(job))
            alive = process.status() != psutil.STATUS_ZOMBIE and str(self._folder) in process.cmdline()
        except psutil.Error:
            return None
        return process if alive else None

    def _processes(self, job: str) -> list[psutil.Process]:
        controller = self._controller(job)
        return [] if controller is None else [controller, *controller.children(recursive=True)]


def submitit_output(folder: Path, job: str) -> str:
    """What a job of submitit's printed to standard error."""
    return "".join(path.read_text(errors="replace") for path in sorted(folder.glob(f"{job}_*_log.err")))


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


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "stages.grid.worker" in process.cmdline() and process.cmdline()[0] != "env"
    except psutil.Error:
        return False
