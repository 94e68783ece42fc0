"""The tables of docs/scaling.md that the test bed writes."""

from collections.abc import Mapping, Sequence

from cluster.faults import Outcome


def of_faults(rows: Mapping[tuple[str, str], Sequence[Outcome]]) -> str:
    """A line for each fault and engine, and a line of sums.

    Args:
        rows: (fault in words, engine) -> its tries.
    """
    lines = [
        "| fault | engine | tries | stages begun again | lost: had ended before | wrong |",
        "|---|---|---|---|---|---|",
    ]
    lines += [f"| {words} | {engine} | {_numbers(outcomes)} |" for (words, engine), outcomes in rows.items()]
    everything = [outcome for outcomes in rows.values() for outcome in outcomes]
    return "\n".join([*lines, f"| all | | {_numbers(everything)} |"])


def _numbers(outcomes: Sequence[Outcome]) -> str:
    again, lost = (sum(getattr(outcome, name) for outcome in outcomes) for name in ("again", "lost"))
    return f"{len(outcomes)} | {again} | {lost} | {sum(outcome.wrong is not None for outcome in outcomes)}"


def of_grids(rows: Sequence[Mapping[str, object]]) -> str:
    """A line for each engine: cells, nodes, stages, seconds, bytes, and whether the result is the plain run's."""
    heads = list(rows[0])
    lines = [heads, ["---"] * len(heads), *([str(row.get(head, "")) for head in heads] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
