"""Processes of the test bed: started, found by their environment, and stopped by their id."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil


class NotHere(RuntimeError):
    """What the test bed needs is not on this machine: a failure, never a skip."""


def start(command: list[str], log: Path, environment: dict[str, str], folder: Path | None = None) -> psutil.Popen:
    """Start a process in a group of its own; what it prints is added to a file."""
    with log.open("ab") as out:
        return psutil.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment, cwd=folder,
            start_new_session=True,
        )  # fmt: skip


def stop(processes: Iterable[psutil.Process], seconds: float = 10.0) -> None:
    """SIGTERM, then SIGKILL to what is left after so many seconds."""
    processes = list(processes)
    _signal(processes, signal.SIGTERM)
    _, left = psutil.wait_procs(processes, timeout=seconds)
    _signal(left, signal.SIGKILL)
    psutil.wait_procs(left, timeout=seconds)


def kill(processes: Iterable[psutil.Process]) -> int:
    """SIGKILL, all stopped first so that none notices the end of another; how many there were."""
    processes = list(processes)
    _signal(processes, signal.SIGSTOP)
    _signal(processes, signal.SIGKILL)
    psutil.wait_procs(processes, timeout=10)
    return len(processes)


def _signal(processes: Iterable[psutil.Process], number: int) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue


def having(**variables: str) -> list[psutil.Process]:
    """The processes that were started with these environment variables, this one aside."""
    return [process for process in psutil.process_iter() if process.pid != os.getpid() and _has(process, variables)]


def _has(process: psutil.Process, variables: dict[str, str]) -> bool:
    try:
        environment = process.environ()
    except (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied):
        return False
    return all(environment.get(name) == value for name, value in variables.items())


def naming(folder: Path) -> list[psutil.Process]:
    """The processes whose command line names the folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if any(str(folder) in argument for argument in process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def with_children(process: psutil.Process) -> list[psutil.Process]:
    """A process and all that it started."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nothing listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def wait_until(holds: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll.

    Raises:
        TimeoutError: `what`, where it does not hold in time.
    """
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"not in {seconds:.0f} s: {what}")
        time.sleep(0.1)


def environment_without(*prefixes: str) -> dict[str, str]:
    """This process's, without what begins so."""
    return {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
