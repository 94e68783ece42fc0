"""What came of one try of a fault, and the table of them all."""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Outcome:
    """One try.

    Attributes:
        problem: what was lost or wrong, in one line; None where the result is that of the clean run.
        kills: how often a process was killed in it.
        redone: steps and chunks that were computed again after the worst kill; None where that is not measured.
        allowed: the most that may have been: those of one checkpoint interval.
        not_tried: why this fault could not be tried here.
    """

    problem: str | None = None
    kills: int = 0
    redone: int | None = None
    allowed: int = 0
    not_tried: str | None = None


@dataclass
class Row:
    """All tries of one fault."""

    fault: str
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def tried(self) -> list[Outcome]:
        """The outcomes of what could be tried."""
        return [outcome for outcome in self.outcomes if outcome.not_tried is None]

    @property
    def lost(self) -> list[Outcome]:
        """The outcomes that are not the clean run's."""
        return [outcome for outcome in self.tried if outcome.problem is not None]

    @property
    def kills(self) -> int:
        """Kills over all tries."""
        return sum(outcome.kills for outcome in self.tried)

    def cells(self) -> list[str]:
        """The row under HEADINGS."""
        if not self.tried:
            reasons = sorted({outcome.not_tried for outcome in self.outcomes if outcome.not_tried})
            return [self.fault, f"not tried: {'; '.join(reasons)}", "", "", "", ""]
        measured = [(outcome.redone, outcome.allowed) for outcome in self.tried if outcome.redone is not None]
        work = f"{max(redone for redone, _ in measured)} of {max(most for _, most in measured)}" if measured else ""
        return [self.fault, *counts([self]), work]


HEADINGS = ["fault", "tries", "kills", "survived", "lost", "steps or chunks redone, of those of an interval"]


def counts(rows: Iterable[Row]) -> list[str]:
    """Tries, kills, survived and lost over all rows."""
    rows = list(rows)
    tries, kills, lost = (
        sum(parts) for parts in zip(*((len(row.tried), row.kills, len(row.lost)) for row in rows), strict=True)
    )
    return [str(tries), str(kills), str(tries - lost), str(lost)]


def markdown(rows: Iterable[Row]) -> str:
    """The table, with a line of sums."""
    rows = list(rows)
    lines = [HEADINGS, ["---"] * len(HEADINGS), *(row.cells() for row in rows), ["all", *counts(rows), ""]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
