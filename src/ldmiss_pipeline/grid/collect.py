"""The results of a finished grid, brought home: DVC's final run here, the figures, and the commit."""

import subprocess

from ldmiss.errors import InputError
from ldmiss_pipeline.grid.checks import head
from ldmiss_pipeline.grid.entries import merge
from ldmiss_pipeline.grid.shared import dvc
from ldmiss_pipeline.grid.state import GridRun
from ldmiss_pipeline.paper.outputs import SUMMARY
from ldmiss_pipeline.running.lockfile import LOCK_FILE


def collect(run: GridRun, missing: list[str], hidden: list[str], *, partial: bool, commit: bool) -> str:
    """Bring home what the workers made; a line on it.

    Args:
        missing: cells of the params' grid that are not done.
        hidden: values that are never printed.
        partial: bring the cells that are done, without figures, where some are missing.
        commit: dvc.lock and the summary.

    Raises:
        InputError: cells are missing, or DVC fails.
    """
    if missing and not partial:
        raise InputError(
            f"cells {', '.join(missing)} are not done: `python -m ldmiss_pipeline grid run` goes on with them; "
            "`collect --partial` brings the others, without figures"
        )
    if missing:
        done = [cell for cell in run.cells if cell not in missing]
        dvc(["repro", "--pull", *(f"evaluate@{cell}" for cell in done)], hidden)
        return f"{len(done)} cells are here; missing: {', '.join(missing)}"
    if all(run.lock(cell).is_file() for cell in run.cells):
        outs = merge([run.lock(cell) for cell in run.cells])
        for command in (["fetch", "--remote", run.remote], ["checkout", "--allow-missing"]):
            dvc(command, hidden)  # of all there is: with targets DVC reads the whole pipeline for each of them
        if lacking := [out for out in outs if not out.exists()]:
            raise InputError(f"remote {run.remote}: has no {lacking[0]}; `dvc repro` makes what is missing here")
        dvc(["repro"], hidden)
    else:
        dvc(["repro", "--pull"], hidden)
    (run.carried / "remote").unlink(missing_ok=True)
    return f"all {len(run.cells)} cells are here" + (f"; committed {_commit(run)}" if commit else "")


def _commit(run: GridRun) -> str:
    files = [str(LOCK_FILE), str(SUMMARY)]
    subprocess.run(["git", "add", "--", *files], check=True)  # noqa: S603, S607
    if not subprocess.run(["git", "status", "--porcelain", "--", *files], check=True, capture_output=True).stdout:  # noqa: S603, S607
        return "nothing: it was as committed"
    message = f"Results of grid {run.name}: {len(run.cells)} cells of commit {run.commit[:12]}"
    subprocess.run(["git", "commit", "--quiet", "--only", "-m", message, "--", *files], check=True)  # noqa: S603, S607
    return head()[:12]
