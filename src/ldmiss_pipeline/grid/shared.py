"""What all cells need first: made once, here, and pushed for the workers to pull."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from ldmiss.errors import InputError, one_line
from ldmiss_pipeline.grid.clone import project_environment
from ldmiss_pipeline.grid.remote import redacted
from ldmiss_pipeline.running.reproduction import DVC


def run_shared(labels: Sequence[str], remote: str, hidden: list[str]) -> None:
    """Run the shared stages, or take them from the remote, and push them.

    Raises:
        InputError: one fails, or the remote cannot be reached.
    """
    if not labels:
        return  # DVC would take it for all stages
    dvc(["repro", "--pull", *labels], hidden)
    dvc(["push", "--run-cache", "--remote", remote, *labels], hidden)


def dvc(arguments: Sequence[str], hidden: list[str]) -> list[str]:
    """Run DVC in this copy of the project and print what it says, without secrets; its lines.

    Raises:
        InputError: it fails.
    """
    command = [*DVC, *arguments]
    lines = []
    with subprocess.Popen(  # noqa: S603 - our own command
        command, env=project_environment(Path.cwd()), text=True, errors="replace",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(redacted(line.rstrip("\n"), hidden))
            print(lines[-1], flush=True)
    if process.returncode != 0:
        reason = [line for line in lines if line.lower().startswith("error: ")] or ["see above"]
        raise InputError(f"dvc {arguments[0]}: {one_line(reason[0])}")
    return lines
