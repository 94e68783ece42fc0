"""Workers as jobs of Slurm, submitted by submitit; Slurm's own commands say which are active."""

import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from ldmiss.errors import InputError, one_line
from ldmiss_pipeline.grid.engines.interface import Job, Resources
from ldmiss_pipeline.grid.engines.local import submitit_output

LEAVE_SECONDS = 90
"""Before its time limit a job is asked to leave."""
DEFAULT_MINUTES = 24 * 60
_SHARD_TOLERANCE = 0.02
"""So that 0.33 is one of three."""
_COMMANDS = ("sbatch", "squeue", "scancel")


class Slurm:
    """Jobs are Slurm's.

    Args:
        folder: for what submitit writes; on a file system that all nodes see, like the whole run.
        resources: of each cell; whole GPUs, or a fraction of one where the cluster shares GPUs by `shard`.
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
        if "SBATCH_JOB_NAME" in os.environ:
            raise InputError("SBATCH_JOB_NAME: set in the environment; jobs are found by names of ours, so unset it")
        _ = self._gres

    def submit(self, job: Job) -> None:
        """Queue it."""
        from submitit import SlurmExecutor
        from submitit.core.utils import FailedJobError
        from submitit.helpers import CommandFunction

        executor = SlurmExecutor(self._folder / job.name)
        # Slurm asks the worker itself to leave, and starts nothing again: the coordinator counts tries.
        own = {"signal": f"TERM@{LEAVE_SECONDS}", "no-requeue": True}
        executor.update_parameters(
            time=self._resources.minutes or DEFAULT_MINUTES, job_name=job.name, additional_parameters=own,
            **self._gres,
            **({"partition": self._resources.partition} if self._resources.partition else {}),
        )  # fmt: skip
        command = ["env", *(f"{name}={value}" for name, value in job.environment.items()), *job.command]
        try:
            executor.submit(CommandFunction(command, verbose=False, cwd=job.folder))
        except FailedJobError as error:
            raise InputError(f"--engine slurm: sbatch refused the job ({one_line(error)})") from None

    def active(self, names: Collection[str]) -> set[str]:
        """Those that squeue lists; one that completes is no longer active."""
        done = _call("squeue", "--noheader", "--me", "--format=%T %j")
        if done.returncode != 0:
            return set(names)
        jobs = (line.split(" ", 1) for line in done.stdout.splitlines())
        return {name for state, name in jobs if state not in _ENDED}.intersection(names)

    def cancel(self, names: Collection[str]) -> None:
        """scancel: SIGTERM, and SIGKILL after KillWait of slurm.conf.

        Raises:
            InputError: scancel fails.
        """
        for name in names:
            done = _call("scancel", "--me", "--name", name)
            if done.returncode != 0:
                raise InputError(f"--engine slurm: scancel fails ({one_line(done.stderr)}); say `cancel` again")

    def output(self, job: str) -> str:
        """What submitit kept."""
        return submitit_output(self._folder / job)

    @cached_property
    def _gres(self) -> dict[str, Any]:
        """Options of sbatch for the GPUs of a job.

        Raises:
            InputError: a fraction that the nodes cannot give.
        """
        gpus = self._resources.gpus
        if gpus == int(gpus):
            return {"gpus_per_node": int(gpus)} if gpus else {}
        done = _call("sinfo", "--noheader", "--format=%P %G")
        if done.returncode != 0:
            raise InputError(f"--gpus-per-cell: sinfo cannot say how GPUs are shared ({one_line(done.stderr)})")
        lines = [line.split(" ", 1) for line in done.stdout.splitlines()]
        wanted = self._resources.partition
        # Slurm marks its default partition with a star.
        nodes = [gres for name, gres in lines if (name.rstrip("*") == wanted if wanted else name.endswith("*"))]
        return {"gres": f"shard:{shards(gpus, nodes)}"}


def shards(gpus: float, listed: Sequence[str]) -> int:
    """How many of the shards into which nodes divide a GPU make a fraction of one.

    Args:
        gpus: no whole number.
        listed: the nodes' resources, one text each, as `sinfo --format=%G` has them; nodes without shards do not count.

    Raises:
        InputError: more than one GPU; no node shares GPUs; a GPU has more shards on one node than on another; no number
            of shards is as large.
    """
    if gpus > 1:
        raise InputError(f"--gpus-per-cell: {gpus:g}; allowed are whole numbers and fractions of one GPU")
    nodes = [(_number(line, "shard"), _number(line, "gpu")) for line in listed]
    if not (per_gpu := sorted({number / gpus for number, gpus in nodes if number and gpus})):
        raise InputError(
            f"--gpus-per-cell: {gpus:g}; no node here shares GPUs (`shard` in Slurm's gres.conf); allowed: 0, 1, ..."
        )
    if len(per_gpu) > 1:
        raise InputError(
            f"--gpus-per-cell: {gpus:g}; a GPU has {' or '.join(f'{one:g}' for one in per_gpu)} shards, "
            "by the node; name a --slurm-partition whose nodes are alike, or take whole ones"
        )
    wanted = gpus * per_gpu[0]
    if round(wanted) < 1 or abs(wanted - round(wanted)) > _SHARD_TOLERANCE:
        fractions = [f"{number / per_gpu[0]:.3g}" for number in range(1, math.ceil(per_gpu[0]))]
        allowed = ", ".join([*fractions, "1", "..."])
        raise InputError(f"--gpus-per-cell: {gpus:g}; a GPU has {per_gpu[0]:g} shards here; allowed: {allowed}")
    return round(wanted)


def _number(listed: str, name: str) -> int:
    """How many of a resource there are, of all its types, as in `gpu:h100:8(S:0-1),shard:h100:32`."""
    found = re.findall(rf"(?:^|,){name}(?::[^:,(]+)?:(\d+)(?=[(,]|$)", listed)
    return sum(map(int, found))


_ENDED = {
    "COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "DEADLINE", "OUT_OF_MEMORY",
}  # fmt: skip


def _call(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - Slurm's own commands
