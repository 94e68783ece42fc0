"""What a report of a failure needs, in one small archive: `python -m ldmiss_pipeline pack [FILE]`.

Versions, GPU and state of the clone, params, `dvc.lock`, the records of the runs and their logs. No images, no models,
no settings of remotes, no environment. Host names stand in the records and logs: look before you send it.
"""

import argparse
import io
import subprocess
import sys
import tarfile
from pathlib import Path

from ldmiss_pipeline.artifacts.paths import RUNS

ARCHIVE = RUNS / "report.tar.gz"
MOST_BYTES = 1_000_000
"""Of each file the last so many, where the error is."""
FILES = (
    "params.yaml", "dvc.lock", "metrics/summary.json", f"{RUNS}/records.jsonl", f"{RUNS}/*.log", f"{RUNS}/logs/*.log",
    f"{RUNS}/grid/*/events/*.jsonl", f"{RUNS}/grid/*/logs/*.log",
)  # fmt: skip
COMMANDS = {
    "environment.txt": [sys.executable, "-m", "torch.utils.collect_env"],
    "packages.txt": [sys.executable, "-m", "pip", "list", "--format=freeze"],
    "nvidia-smi.txt": ["nvidia-smi"],
    "git-log.txt": ["git", "log", "-1", "--oneline"],
    "git-status.txt": ["git", "status", "--short"],
    "git-diff.txt": ["git", "diff", "HEAD", "--", "src", "stages", "conf"],
}
"""Name in the archive -> the command whose output it is."""


def main(arguments: list[str] | None = None) -> int:
    """Write the archive and say what to look at; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m ldmiss_pipeline pack", description=__doc__.split("\n")[0])
    parser.add_argument("file", type=Path, nargs="?", default=ARCHIVE, help=f"default: {ARCHIVE}")
    path = parser.parse_args(arguments).file
    names = pack(path)
    print(
        f"{path}: {len(names)} files, {path.stat().st_size / 1000:.0f} kB; host names stand in it: look before you send"
    )
    return 0


def pack(path: Path) -> list[str]:
    """Write the archive of the project in the current directory; the names of what is in it."""
    found = sorted({file for pattern in FILES for file in Path().glob(pattern) if file.is_file()})
    contents = {name: _output(command) for name, command in COMMANDS.items()}
    contents |= {str(file): _end(file) for file in found}
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return list(contents)


def _output(command: list[str]) -> bytes:
    """What a command prints, or why it could not: a broken driver is what a report is about."""
    try:
        done = subprocess.run(  # noqa: S603 - ours
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{error}\n".encode()
    return done.stdout[-MOST_BYTES:]


def _end(file: Path) -> bytes:
    """The last `MOST_BYTES` of a file."""
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - MOST_BYTES))
        return stream.read()
