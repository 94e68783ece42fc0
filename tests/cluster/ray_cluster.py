"""Ray on one host: two nodes by `ray start`, each with one CPU and a GPU that only Ray believes in."""

import importlib.util
import os
import secrets
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import mkdtemp

import psutil

from cluster.processes import NotHere, free_ports, start, stop, wait_until, with_children

NODES = ("n1", "n2")
NODE_VARIABLE = "LDMISS_TEST_NODE"
"""Names the node to the processes that run on it."""
_START_SECONDS = 120
_ALIVE = """
import ray
ray.init(address={address!r}, log_to_driver=False)
print(sum(node["Alive"] for node in ray.nodes()), ray.cluster_resources().get("GPU", 0))
"""


class Ray:
    """Two nodes, until `close`. The first is the head, which Ray cannot lose.

    Attributes:
        address: of the dashboard, which takes jobs.
        environment: of commands that talk to it.
    """

    def __init__(self) -> None:
        if any(importlib.util.find_spec(name) is None for name in ("ray", "aiohttp_cors")):
            raise NotHere(f"ray: {sys.executable} has no ray[default]; `make test-cluster` installs it")
        self._folder = Path(mkdtemp(prefix="ldmiss-ray-"))
        port, dashboard = free_ports(2)
        self._gcs, self.address = f"127.0.0.1:{port}", f"http://127.0.0.1:{dashboard}"
        # Whoever reaches the port may run code; with a token only who knows it.
        self.environment = {
            "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32),
        }  # fmt: skip
        self._daemons: dict[str, psutil.Popen] = {}
        head = ["--head", f"--port={port}", f"--dashboard-port={dashboard}", f"--temp-dir={self._folder}/t"]
        try:
            self._daemon("n1", *head)
            for one in (port, dashboard):
                wait_until(lambda one=one: _answers(one), _START_SECONDS, f"the head of Ray: see {self._folder}/n1.out")
            self.start_node("n2")
            self.wait_for_nodes(2)
        except BaseException:
            self.close()
            raise

    def start_node(self, node: str) -> None:
        """Start a node that is not the head."""
        self._daemon(node, f"--address={self._gcs}")

    def _daemon(self, node: str, *arguments: str) -> None:
        common = ["--block", "--num-cpus=1", "--num-gpus=1", "--object-store-memory=80000000", "--disable-usage-stats"]
        # Two nodes on one host: the agents of both would listen on the same port.
        common += ["--node-ip-address=127.0.0.1", f"--dashboard-agent-listen-port={free_ports(1)[0]}"]
        command = [str(Path(sys.executable).with_name("ray")), "start", *common]
        environment = {**os.environ, **self.environment, NODE_VARIABLE: node}
        self._daemons[node] = start([*command, *arguments], self._folder / f"{node}.out", environment)

    def wait_for_nodes(self, count: int) -> None:
        """Until so many nodes are alive.

        Raises:
            TimeoutError: they are not.
        """
        end, code = time.monotonic() + _START_SECONDS, _ALIVE.format(address=self._gcs)
        environment, said = {**os.environ, **self.environment}, ""
        while time.monotonic() < end:
            done = subprocess.run(
                [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
            )
            said = done.stdout.strip() or done.stderr.strip()[-300:]
            if said.startswith(f"{count} "):
                return
            time.sleep(1)
        raise TimeoutError(f"ray: not {count} nodes in {_START_SECONDS} s ({said}); see {self._folder}")

    def node(self, node: str) -> list[psutil.Process]:
        """All processes of a node."""
        return with_children(self._daemons[node])

    def close(self) -> None:
        """Stop what was started here."""
        for daemon in reversed(self._daemons.values()):
            stop(with_children(daemon))
        shutil.rmtree(self._folder)


def _answers(port: int) -> bool:
    return any(one.laddr.port == port for one in psutil.net_connections("tcp") if one.status == psutil.CONN_LISTEN)
