"""Seconds and peak memory of a command: `python benchmarks/usage.py COMMAND ...` prints them after its output.

Linux counts as a command's memory what the process that started it held at that moment: so a small process starts it.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path


def usage(
    command: list[str], folder: Path, environment: Mapping[str, str] | None = None
) -> tuple[float, float, list[str]]:
    """Seconds, megabytes and the lines of the output of a command that is run in a folder.

    Raises:
        RuntimeError: it fails.
    """
    done = subprocess.run(  # noqa: S603 - our own commands
        [sys.executable, str(Path(__file__)), *command],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} in {folder}: {done.stdout}{done.stderr}")
    *lines, last = done.stdout.splitlines()
    seconds, megabytes = json.loads(last)
    return seconds, megabytes, lines


def main(command: list[str]) -> int:
    """Run the command; its exit status."""
    start = time.perf_counter()
    process = subprocess.Popen(command)  # noqa: S603 - our own commands
    _, status, resources = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    print(json.dumps([seconds, resources.ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)]))
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
