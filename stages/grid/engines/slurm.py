"""Workers as jobs of Slurm, submitted by submitit; Slurm's own commands say which are active."""

import shutil
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

from ldmiss.errors import InputError, one_line
from stages.grid.engines.interface import Job, Resources
from stages.grid.engines.local import submitit_output

LEAVE_SECONDS = 90
"""Before its time limit a job is asked to leave."""
DEFAULT_MINUTES = 24 * 60
_COMMANDS = ("sbatch", "squeue", "scancel")


class Slurm:
    """Jobs are Slurm's.

    Args:
        folder: for what submitit writes; on a file system that all nodes see, like the whole run.
        resources: of each cell; whole GPUs.
    """

    sees_folder = True
    python = sys.executable
    poll_seconds = 5.0

    def __init__(self, folder: Path, resources: Resources) -> None:
        self._folder, self._resources = folder, resources

    def check(self) -> None:
        """Raises as the interface says."""
        if missing := [name for name in _COMMANDS if shutil.which(name) is None]:
            raise InputError(f"--engine slurm: {missing[0]} is not installed here; run on a login node of the cluster")
        done = _call("squeue", "--noheader", "--me")
        if done.returncode != 0:
            raise InputError(f"--engine slurm: the scheduler does not answer ({one_line(done.stderr)}); try `sinfo`")
        if self._resources.gpus != int(self._resources.gpus):
            raise InputError(f"--gpus-per-cell: {self._resources.gpus:g}; the engine slurm gives whole GPUs: 0, 1, ...")

    def submit(self, job: Job) -> None:
        """Queue it."""
        from submitit import SlurmExecutor
        from submitit.helpers import CommandFunction

        executor = SlurmExecutor(self._folder / job.name)
        # Slurm asks the worker itself to leave, and starts nothing again: the coordinator counts tries.
        own = {"signal": f"TERM@{LEAVE_SECONDS}", "no-requeue": True}
        executor.update_parameters(
            time=self._resources.minutes or DEFAULT_MINUTES, job_name=job.name, additional_parameters=own,
            **({"gpus_per_node": int(self._resources.gpus)} if self._resources.gpus else {}),
            **({"partition": self._resources.partition} if self._resources.partition else {}),
        )  # fmt: skip
        command = ["env", *(f"{name}={value}" for name, value in job.environment.items()), *job.command]
        try:
            executor.submit(CommandFunction(command, verbose=False, cwd=job.folder))
        except subprocess.CalledProcessError as error:
            raise InputError(f"--engine slurm: sbatch refused the job ({one_line(error.stderr or error)})") from None

    def active(self, names: Collection[str]) -> set[str]:
        """Those that squeue lists; one that completes is no longer active."""
        found = self._ids()
        return set(names) if found is None else {name for name in names if name in found}

    def cancel(self, names: Collection[str]) -> None:
        """scancel: SIGTERM, and SIGKILL after KillWait of slurm.conf."""
        found = self._ids() or {}
        if ids := [found[name] for name in names if name in found]:
            _call("scancel", *ids)

    def output(self, job: str) -> str:
        """What submitit kept."""
        return submitit_output(self._folder / job)

    def _ids(self) -> dict[str, str] | None:
        """Slurm's number of each job of ours that has not ended, by its name; None where squeue does not answer."""
        done = _call("squeue", "--noheader", "--me", "--format=%i %T %j")
        if done.returncode != 0:
            return None
        jobs = (line.split(" ", 2) for line in done.stdout.splitlines())
        return {name: number for number, state, name in jobs if state not in _ENDED}


_ENDED = {
    "COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "DEADLINE", "OUT_OF_MEMORY",
}  # fmt: skip


def _call(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - Slurm's own commands
