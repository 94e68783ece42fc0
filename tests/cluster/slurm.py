"""Slurm on one host: slurmctld and two slurmd, a node each with one CPU and a fake GPU, as root, without systemd."""

import os
import secrets
import shutil
import socket
import subprocess
from pathlib import Path
from tempfile import mkdtemp

import psutil

from cluster.processes import NotHere, free_ports, having, start, stop, wait_until, with_children

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "sinfo", "squeue", "scancel", "scontrol")
PACKAGES = ("munge", "slurmctld", "slurmd", "slurm-client")
NODES = ("n1", "n2")
FAKE_GPUS = {"n1": "/dev/null", "n2": "/dev/zero"}
SHARDS = 2
"""Shards of a GPU."""
NODE_LOST_SECONDS = 15
"""After which slurmctld gives up a node that does not answer, and queues its jobs again."""


def install() -> None:
    """Install Debian's packages where Slurm is not there.

    Raises:
        NotHere: not root; or no Slurm and no apt.
    """
    if os.geteuid() != 0:
        raise NotHere("slurm: the test bed starts slurmd, which takes root; run it as root (in a container)")
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise NotHere(f"slurm: no {', '.join(missing)} and no apt-get to install them with; install Slurm and munge")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run(["apt-get", *command], env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NotHere(f"slurm: apt-get {' '.join(command)} failed: {(done.stderr or done.stdout).strip()[-500:]}")


class Slurm:
    """Two idle nodes, until `close`."""

    def __init__(self) -> None:
        install()
        self._folder = folder = Path(mkdtemp(prefix="ldmiss-slurm-"))
        folder.chmod(0o755)  # else munged refuses to put its socket there
        self.conf = folder / "slurm.conf"
        self.environment = {"SLURM_CONF": str(self.conf)}
        self._daemons: dict[str, psutil.Popen] = {}
        self._configure()
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _configure(self) -> None:
        controller, *ports = free_ports(1 + len(NODES))
        host, spool = socket.gethostname(), self._folder / "spool"
        nodes = [
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=1 RealMemory=4000 "
            f"Gres=gpu:1,shard:{SHARDS}"
            for node, port in zip(NODES, ports, strict=True)
        ]
        self.conf.write_text("\n".join([
            "ClusterName=ldmiss", f"SlurmctldHost={host}(127.0.0.1)", f"SlurmctldPort={controller}",
            "SlurmUser=root", "SlurmdUser=root", "AuthType=auth/munge", "CredType=cred/munge",
            # The second also is how long a job that was queued again waits: 120 by default, 5 at least.
            f"AuthInfo=socket={self._socket},cred_expire=5",
            f"StateSaveLocation={self._folder / 'state'}", f"SlurmdSpoolDir={spool}/%n",
            f"SlurmctldPidFile={self._folder}/slurmctld.pid", f"SlurmdPidFile={self._folder}/%n.pid",
            "MpiDefault=none", "ProctrackType=proctrack/linuxproc", "TaskPlugin=task/none", "SwitchType=switch/none",
            "SelectType=select/cons_tres", "SelectTypeParameters=CR_Core", "SchedulerType=sched/backfill",
            "SchedulerParameters=bf_interval=2,sched_interval=2", "GresTypes=gpu,shard",
            "SlurmdParameters=config_overrides", "ReturnToService=2", f"SlurmdTimeout={NODE_LOST_SECONDS}",
            "KillWait=20", "MinJobAge=300", *nodes,
            f"PartitionName=all Nodes={','.join(NODES)} Default=YES MaxTime=INFINITE State=UP",
        ]) + "\n")  # fmt: skip
        gres = [f"NodeName={node} Name=gpu File={device}" for node, device in FAKE_GPUS.items()]
        gres += [f"NodeName={node} Name=shard Count={SHARDS}" for node in NODES]
        (self._folder / "gres.conf").write_text("\n".join(gres) + "\n")
        for place in (self._folder / "state", *(spool / node for node in NODES)):
            place.mkdir(parents=True)

    @property
    def _socket(self) -> Path:
        return self._folder / "munge.socket"

    def _start(self) -> None:
        key = self._folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        places = [f"--{name}-file={self._folder}/munged.{name}" for name in ("log", "pid", "seed")]
        self._daemon("munged", "munged", "--foreground", f"--key-file={key}", f"--socket={self._socket}", *places)
        wait_until(self._socket.exists, 20, f"munged: see {self._folder}/munged.out")
        self._daemon("slurmctld", "slurmctld", "-D", "-c", "-f", str(self.conf))
        for node in NODES:
            self.start_node(node)
        wait_until(lambda: self.idle() == list(NODES), 40, f"both nodes idle: see {self._folder}/*.out")

    def start_node(self, node: str) -> None:
        """Start the slurmd of a node."""
        self._daemon(node, "slurmd", "-D", "-N", node, "-f", str(self.conf))

    def node(self, node: str) -> list[psutil.Process]:
        """All processes of a node: slurmd, its steps, and what the jobs there started."""
        jobs = having(SLURMD_NODENAME=node, **self.environment)
        steps = [parent for job in jobs for parent in job.parents() if parent.name() == "slurmstepd"]
        return list(dict.fromkeys([*with_children(self._daemons[node]), *steps, *jobs]))

    def idle(self) -> list[str]:
        """The nodes that wait for a job."""
        return self._ask("sinfo", "--noheader", "--states=idle", "--Node", "--format=%N").split()

    def gpus(self, job: str) -> str | None:
        """What the job of a name was given, such as `gpu:1` or `shard:1`."""
        lines = self._ask("scontrol", "show", "job", "--details", "--oneliner").splitlines()
        fields = [dict(part.split("=", 1) for part in line.split() if "=" in part) for line in lines]
        return next((of.get("JOB_GRES") for of in fields if of["JobName"] == job), None)

    def jobs(self) -> str:
        """What waits or runs."""
        return self._ask("squeue", "--noheader", "--format=%i %j %T %r %N")

    def _ask(self, *command: str) -> str:
        environment = {**os.environ, **self.environment}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout.strip()

    def _daemon(self, name: str, *command: str) -> None:
        environment = {**os.environ, **self.environment}
        self._daemons[name] = start(list(command), self._folder / f"{name}.out", environment)

    def close(self) -> None:
        """Stop the jobs, then what was started here."""
        for node in NODES:
            if node in self._daemons:
                stop(self.node(node))
        stop(reversed(self._daemons.values()))
        shutil.rmtree(self._folder)
