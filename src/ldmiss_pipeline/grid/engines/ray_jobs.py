"""Workers as jobs of a Ray cluster, by Ray's job submission: they go on without the coordinator.

Nodes need not see the run's folder: code and params are carried there by Ray, and events and logs come back as what
the job printed. Checkpoints stay behind: a stage that is interrupted starts over.
"""

import os
import shlex
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ldmiss.errors import InputError, one_line
from ldmiss_pipeline.grid.engines.interface import Job, Resources

ADDRESS = "http://127.0.0.1:8265"
LEAVE_SECONDS = "60"
"""From SIGTERM to SIGKILL; Ray's own is 3."""
_ACTIVE = ("PENDING", "RUNNING")


class RayJobs:
    """Jobs are Ray's.

    Args:
        folder: not needed.
        resources: of each cell; without a GPU it takes a CPU.
    """

    sees_folder = False
    poll_seconds = 5.0
    python = "python"

    def __init__(self, folder: Path, resources: Resources) -> None:
        del folder
        self._resources = resources
        self._address = resources.address or os.environ.get("RAY_API_SERVER_ADDRESS", ADDRESS)
        self._made: Any = None

    @property
    def _client(self) -> Any:
        if self._made is None:
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            from ray.job_submission import JobSubmissionClient

            self._made = JobSubmissionClient(self._address)
        return self._made

    def check(self) -> None:
        """Raises as the interface says."""
        if self._resources.minutes is not None:
            raise InputError("--time: the engine ray has no time limit; leave it out")
        try:
            self._client.list_jobs()
        except Exception as error:  # of Ray, requests and aiohttp, by what is wrong
            raise InputError(
                f"--ray-address: {self._address} does not answer ({one_line(error, longest=120)}); "
                "it is the dashboard's, which `ray start --head` prints"
            ) from None

    def submit(self, job: Job) -> None:
        """Queue it."""
        gpus = self._resources.gpus
        self._client.submit_job(
            entrypoint=shlex.join(job.command),
            submission_id=job.name,
            runtime_env={
                "working_dir": str(job.folder),
                "env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": LEAVE_SECONDS, "PYTHONPATH": "src"},
            },
            **({"entrypoint_num_gpus": gpus} if gpus else {"entrypoint_num_cpus": 1}),
        )

    def active(self, names: Collection[str]) -> set[str]:
        """Those that Ray has not ended; all while it does not answer."""
        try:
            states = {job.submission_id: job.status for job in self._client.list_jobs()}
        except (RuntimeError, OSError):
            return set(names)
        return {job for job in names if states.get(job) in _ACTIVE}

    def cancel(self, names: Collection[str]) -> None:
        """SIGTERM, and SIGKILL after a while."""
        for job in names:
            self._client.stop_job(job)

    def output(self, job: str) -> str:
        """What the job printed; nothing where its node is gone."""
        try:
            return str(self._client.get_job_logs(job))
        except (RuntimeError, OSError):
            return ""
