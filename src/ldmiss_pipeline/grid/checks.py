"""What has to hold before any job is submitted."""

import re
import subprocess
from pathlib import Path

from ldmiss.errors import InputError, one_line
from ldmiss_pipeline.config.params import PARAMS_FILE
from ldmiss_pipeline.grid.state import GridRun, all_runs
from ldmiss_pipeline.paper.outputs import SUMMARY
from ldmiss_pipeline.running.lockfile import LOCK_FILE

MAY_DIFFER = {str(LOCK_FILE), str(PARAMS_FILE), str(SUMMARY)}
"""Files that may differ from the commit: params travel on their own, and the others are what a run writes."""
CODE = ("src", "stages", "conf", "hydra_plugins", "assets")
"""Folders in which a file that git does not know is a mistake: workers would not have it."""


def head() -> str:
    """The full hash of the commit that is checked out.

    Raises:
        InputError: this is no git repository, or it has no commit.
    """
    return _git("rev-parse", "HEAD")


def refuse_dirty() -> None:
    """Raise InputError where files that workers need differ from the commit."""
    changed = [line[3:] for line in _git("status", "--porcelain", "--untracked-files=no").splitlines()]
    unknown = _git("ls-files", "--others", "--exclude-standard", "--", *CODE).splitlines()
    if files := [name for name in [*changed, *unknown] if name not in MAY_DIFFER]:
        more = f" and {len(files) - 3} more" if len(files) > 3 else ""
        raise InputError(
            f"{', '.join(files[:3])}{more}: not as committed; workers run the commit: `git commit` or `git stash` first"
        )


def refuse_password(origin: str) -> None:
    """Raise InputError for a URL with a password: it would be on command lines and in run.json."""
    if re.search(r"//[^/@]*:[^/@]+@", origin):
        raise InputError("--origin: has a password in it; use SSH, or a credential helper of git")


def refuse_unpushed(commit: str, origin: str) -> None:
    """Raise InputError where no branch or tag of the origin has the commit, or the origin cannot be reached."""
    done = subprocess.run(["git", "ls-remote", origin], check=False, capture_output=True, text=True)  # noqa: S603, S607
    if done.returncode != 0:
        raise InputError(f"--origin: {origin} cannot be read ({one_line(done.stderr)}); name what workers can clone")
    tips = {line.split()[0] for line in done.stdout.splitlines()}
    if not any(_is_in(commit, tip) for tip in tips):
        raise InputError(f"--origin: {origin} does not have commit {commit[:12]}; `git push` it first")


def _is_in(commit: str, tip: str) -> bool:
    command = ["git", "merge-base", "--is-ancestor", commit, tip]
    return commit == tip or subprocess.run(command, check=False, capture_output=True).returncode == 0  # noqa: S603


def refuse_other_runs(run: str) -> None:
    """Raise InputError while workers of another run, with other params or another commit, are at work."""
    for other in all_runs():
        if other.name != run and (cells := at_work(other)):
            raise InputError(
                f"{PARAMS_FILE}: params or commit changed while grid {other.name} runs ({', '.join(cells[:3])}, ...): "
                f"put them back (its params: {other.carried / 'params.yaml'}), "
                "or `python -m ldmiss_pipeline grid cancel` first"
            )


def at_work(run: GridRun) -> list[str]:
    """The cells whose jobs the run's engine still has."""
    from ldmiss_pipeline.grid.engines.registry import make_engine

    jobs = run.jobs()
    active = make_engine(run).active(set(jobs.values())) if jobs else set()
    return [cell for cell in jobs if run.state(cell, active) in ("queued", "running")]


def _git(*arguments: str, root: Path = Path()) -> str:
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=root, check=False, capture_output=True, text=True)  # noqa: S603 - our own command
    if done.returncode != 0:
        raise InputError(f"git {arguments[0]}: {one_line(done.stderr)}; run from the root of a git clone")
    return done.stdout.rstrip("\n")
