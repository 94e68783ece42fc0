"""What the test bed does with each engine: how a grid is run on it, and how its jobs and nodes are lost."""

import os
import subprocess
import sys
from pathlib import Path

import psutil

from cluster import ray_cluster, slurm
from cluster.processes import kill, wait_until
from cluster.ray_cluster import Ray
from cluster.slurm import Slurm

RESOURCES = ["--jobs", "2", "--gpus-per-cell", "1"]


class LocalBed:
    """Processes of this host; it has no nodes to lose.

    Attributes:
        name: of the engine.
        nodes: that cells run on.
        arguments: of `grid run`.
        toy_arguments: the same for toy cells, which share GPUs where the engine can.
        environment: of all grid commands.
    """

    name = "local"
    nodes: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.arguments = self.toy_arguments = ["--engine", "local", "--jobs", "2", "--gpus-per-cell", "0"]
        self.environment: dict[str, str] = {}

    def refuse_other_gpus(self, job: str) -> None:
        """Raise AssertionError where a job of toy cells has other GPUs than it should; there are none here."""

    def cancel_job(self, job: str) -> None:
        """SIGTERM to the worker of a job, as somebody who sees it in `ps` would."""
        for process in psutil.process_iter(["cmdline"]):
            command = process.info["cmdline"] or []
            if "submitit.local._local" in command and Path(command[-1]).name == job:
                _terminate_worker(process)

    def close(self) -> None:
        """Nothing was started."""


def _terminate_worker(controller: psutil.Process) -> None:
    for process in controller.children(recursive=True):
        if "ldmiss_pipeline.grid.worker" in process.cmdline():
            process.terminate()


class SlurmBed(LocalBed):
    """Slurm with two nodes."""

    name, nodes = "slurm", slurm.NODES

    def __init__(self) -> None:
        self._slurm = Slurm()
        self.arguments = ["--engine", "slurm", *RESOURCES, "--time", "30"]
        self.toy_arguments = [*self.arguments, "--gpus-per-cell", "0.5"]
        self.environment = self._slurm.environment

    def refuse_other_gpus(self, job: str) -> None:
        """Half of a GPU is one of the two shards into which each is divided."""
        given = self._slurm.gpus(job)
        assert given == "shard:1", f"a job of half a GPU has {given}"

    def cancel_job(self, job: str) -> None:
        """scancel."""
        subprocess.run(["scancel", "--name", job], env={**os.environ, **self.environment}, check=True)

    def lose_node(self, node: str) -> None:
        """SIGKILL to all of a node."""
        kill(self._slurm.node(node))

    def lose_daemon(self, node: str) -> None:
        """SIGKILL to a slurmd alone: its jobs go on, and Slurm does not know."""
        kill(self._slurm.node(node)[:1])

    def restore_node(self, node: str) -> None:
        """Start it again, and wait until all are idle."""
        self._slurm.start_node(node)
        wait_until(lambda: self._slurm.idle() == list(self.nodes), 90, "both nodes of Slurm idle")

    def close(self) -> None:
        """Stop Slurm."""
        self._slurm.close()


class RayBed(LocalBed):
    """Ray with two nodes."""

    name, nodes = "ray", ray_cluster.NODES

    def __init__(self) -> None:
        self._ray = Ray()
        self.arguments = ["--engine", "ray", *RESOURCES, "--ray-address", self._ray.address]
        self.toy_arguments = self.arguments
        self.environment = self._ray.environment

    def cancel_job(self, job: str) -> None:
        """`ray job stop`."""
        command = [str(Path(sys.executable).with_name("ray")), "job", "stop", "--no-wait", job]
        environment = {**os.environ, **self.environment, "RAY_ADDRESS": self._ray.address}
        subprocess.run(command, env=environment, check=True, capture_output=True)

    def lose_node(self, node: str) -> None:
        """SIGKILL to all of a node."""
        kill(self._ray.node(node))

    def restore_node(self, node: str) -> None:
        """Start it again, and wait until both are there."""
        self._ray.start_node(node)
        self._ray.wait_for_nodes(2)

    def close(self) -> None:
        """Stop Ray."""
        self._ray.close()


BEDS = {"local": LocalBed, "slurm": SlurmBed, "ray": RayBed}
