"""Which cell is submitted when: as many at a time as asked for, each again until it ends well or its tries are used up.

All that it knows is in the run's folder. Killed at any time and started again, it goes on with the jobs that are there.
"""

import sys
import time
from collections.abc import Mapping

from ldmiss.files.atomic import save_text
from ldmiss_pipeline.grid.engines.interface import Engine, Job
from ldmiss_pipeline.grid.events import LOCK_MARK, MARK, add_line
from ldmiss_pipeline.grid.state import FINISHED, GridRun
from ldmiss_pipeline.grid.status import changes, table

_CLEAR = "\x1b[H\x1b[2J"


def drive(run: GridRun, engine: Engine, *, jobs: int, retries: int, detach: bool = False) -> list[str]:
    """Submit the cells of a run that are left, and wait until all have ended; those that have not ended well.

    Args:
        jobs: at the same time.
        retries: further tries of a cell, counted from now.
        detach: return when all are submitted.
    """
    before = {cell: len(run.submitted(cell)) for cell in run.cells}
    suspected: set[str] = set()
    shown: dict[str, str] = {}
    while True:
        states = states_of(run, engine)
        for cell in _taken_over(run, states):
            run.end_attempt(cell)
            before[cell] = len(run.tries[cell])
        missing = {cell for cell, state in states.items() if state in ("lost", "waiting") and run.tries.get(cell)}
        # A job may be gone a moment before its last line is seen from here, and there a moment after its coordinator
        # was killed in the middle of submitting it.
        doubtful, suspected = missing - suspected, missing
        states |= dict.fromkeys(doubtful, "running")
        at_work = [cell for cell in run.cells if states[cell] in ("queued", "running")]
        left = [cell for cell in run.cells if _is_left(states[cell], len(run.submitted(cell)) - before[cell], retries)]
        for cell in left[: max(0, jobs - len(at_work))]:
            if run.cancelled.exists():
                break
            submit(run, cell, engine)
            states[cell] = "queued"
        left = [] if run.cancelled.exists() else left
        shown = _show(run, states, shown)
        if (detach and not doubtful) or not (left or at_work):
            return [cell for cell in run.cells if states[cell] != "done"]
        time.sleep(engine.poll_seconds)


def submit(run: GridRun, cell: str, engine: Engine) -> None:
    """Submit the next try of a cell.

    Noted before and after: a coordinator that is killed in between finds the job by its name.
    """
    run.begin_attempt(cell)
    job = worker_job(run, cell, engine)
    engine.submit(job)
    run.end_attempt(cell)
    if run.cancelled.exists():  # `cancel` may have looked before the engine had the job
        engine.cancel([job.name])


def _taken_over(run: GridRun, states: Mapping[str, str]) -> list[str]:
    """The cells whose last try an earlier coordinator submitted, but could not note: now the job is there, or spoke."""
    return [cell for cell, tries in run.tries.items() if tries[-1].submitted is None and states[cell] != "waiting"]


def _is_left(state: str, tries: int, retries: int) -> bool:
    """Whether a cell is to be submitted, which was `tries` times already."""
    return state == "waiting" or (state in FINISHED and state != "done" and tries <= retries)


def worker_job(run: GridRun, cell: str, engine: Engine) -> Job:
    """The worker of a cell's last try."""
    attempt = run.tries[cell][-1].attempt
    arguments: list[object] = [
        "--cell", cell, "--attempt", attempt, "--commit", run.commit, "--origin", run.origin,
        "--params", "params.yaml", "--remote-config", "remote", "--stage-jobs", run.stage_jobs,
    ]  # fmt: skip
    if engine.sees_folder:
        arguments += ["--events", run.events(cell), "--lock", run.lock(cell), "--log", run.log(cell, attempt)]
        arguments += ["--checkpoints", run.folder / "ckpt" / cell]
    command = [engine.python, "-m", "ldmiss_pipeline.grid.worker", *map(str, arguments)]
    return Job(run.tries[cell][-1].job, command, run.carried)


def states_of(run: GridRun, engine: Engine) -> dict[str, str]:
    """How the cells are, as far as the engine and the workers say."""
    jobs = run.jobs()
    active = engine.active(set(jobs.values())) if jobs else set()
    if not engine.sees_folder:
        for cell, job in jobs.items():
            _bring_output(run, cell, engine.output(job))
    return {cell: run.state(cell, active) for cell in run.cells}


def _bring_output(run: GridRun, cell: str, output: str) -> None:
    """Sort what a worker printed into its log and its events; nothing where its machine does not answer."""
    if not output:
        return
    lines = output.splitlines()
    save_text(
        run.log(cell, run.tries[cell][-1].attempt),
        "".join(f"{line}\n" for line in lines if not line.startswith(LOCK_MARK)),
    )
    known = set(run.events(cell).read_text().splitlines()) if run.events(cell).is_file() else set()
    for line in lines:
        if line.startswith(LOCK_MARK):
            save_text(run.lock(cell), line.removeprefix(LOCK_MARK))
        if line.startswith(MARK) and (event := line.removeprefix(MARK)) not in known:
            add_line(run.events(cell), event)


def _show(run: GridRun, states: dict[str, str], before: dict[str, str]) -> dict[str, str]:
    """The live table on a terminal; elsewhere a line for each change."""
    if sys.stdout.isatty():
        print(f"{_CLEAR}{table(run, states)}", flush=True)
    else:
        for line in changes(run, states, before):
            print(line, flush=True)
    return states
