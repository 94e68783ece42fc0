"""How the cells are: a table of cell by stage, and why what failed has failed."""

from collections.abc import Mapping

from ldmiss_pipeline.config.params import load
from ldmiss_pipeline.grid.cells import Cells
from ldmiss_pipeline.grid.events import WORKER, read_events
from ldmiss_pipeline.grid.state import GridRun


def table(run: GridRun, states: Mapping[str, str]) -> str:
    """A row for each cell, a column for each stage, and a line for each cell that has not ended well.

    Args:
        states: of the cells, as `GridRun.state` says.
    """
    _, document = load(run.carried / "params.yaml")
    cells = Cells(document)
    labels = {cell: cells.labels(cell) for cell in run.cells}
    stages = list(dict.fromkeys(label.partition("@")[0] for of_cell in labels.values() for label in of_cell))
    wide = max(len(cell) for cell in [*run.cells, "cell"])
    lines = [f"grid {run.name}, engine {run.engine}, commit {run.commit[:12]}"]
    lines.append("  ".join([f"{'cell':{wide}}", f"{'':9}", *(f"{stage:>7}" for stage in stages)]))
    for cell in run.cells:
        found = latest(run, cell)
        shown = [_entry([found.get(label) for label in labels[cell] if _stage(label) == stage], states[cell])
                 for stage in stages]  # fmt: skip
        padded = (f"{entry:>{max(7, len(stage))}}" for entry, stage in zip(shown, stages, strict=True))
        lines.append("  ".join([f"{cell:{wide}}", f"{states[cell]:9}", *padded]))
    counts = {state: list(states.values()).count(state) for state in dict.fromkeys(states.values())}
    lines.append(", ".join(f"{number} {state}" for state, number in counts.items()))
    return "\n".join([*lines, *(problem(run, cell, state) for cell, state in states.items() if _is_bad(state))])


def changes(run: GridRun, states: Mapping[str, str], before: Mapping[str, str]) -> list[str]:
    """A line for each cell that is other than before."""
    changed = [cell for cell, state in states.items() if before.get(cell) != state]
    return [
        problem(run, cell, states[cell]) if _is_bad(states[cell]) else f"{cell}: {states[cell]}" for cell in changed
    ]


def problem(run: GridRun, cell: str, state: str) -> str:
    """Why a cell has not ended well, and where its log is."""
    attempt = run.tries[cell][-1].attempt
    events = [event for event in read_events(run.events(cell)) if event["attempt"] == attempt]
    last = {event["stage"]: event for event in events}
    failed = [event["reason"] for event in last.values() if "reason" in event]  # that of the worker comes last
    stages = [stage for stage in last if stage != WORKER] or ["before any stage"]
    why = (
        failed[0] if failed else f"{'the job is gone' if state == 'lost' else 'was asked to leave'}; last: {stages[-1]}"
    )
    return f"{cell}: {state}, try {attempt}: {why} ({run.log(cell, attempt)})"


def latest(run: GridRun, cell: str) -> dict[str, str]:
    """Label -> the last status of its stage."""
    return {event["stage"]: event["status"] for event in read_events(run.events(cell))}


def _entry(statuses: list[str | None], state: str) -> str:
    """What the table shows of the items of one stage in one cell."""
    done = statuses.count("done")
    if done == len(statuses):
        return "done"
    for status in ("failed", "running"):
        if status in statuses:
            return status if state == "running" or status == "failed" else "stopped"
    return f"{done}/{len(statuses)}" if done else "-"


def _is_bad(state: str) -> bool:
    return state in ("failed", "preempted", "lost")


def _stage(label: str) -> str:
    return label.partition("@")[0]
