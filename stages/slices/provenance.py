"""`PROVENANCE.md` of results that slices brought: what was measured where and with what, and what is missing."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from stages.slices.order import Order
from stages.slices.pieces import Piece

PAGE = "PROVENANCE.md"
PROTOCOL = "protocol.json"
"""In the results folder: `protocol_rows` of its params."""
_NO_PROTOCOL = {
    "missing_rate", "seed", "profile", "recipe", "protocol", "grid.name", "diffputer.recipe", "compute.device",
    "compute.num_threads", "plot.num_columns",
}  # fmt: skip
"""Params that say nothing about how a cell is made: names of choices whose values are compared, and where it runs."""
_ORIGIN = ("command", "commit", "device", "dtype", "deterministic", "torch", "python", "machine")


def provenance(
    name: str,
    pieces: Sequence[Piece],
    order: Order,
    protocol: Sequence[Sequence[Any]],
    params_sha256: str,
    timings: pd.DataFrame,
) -> str:
    """The page; `protocol` as `protocol_rows` has it."""
    dates = sorted(piece.origin["time"] for piece in pieces)
    facts = [("params (`params.yaml`)", params_sha256), ("dates", f"{dates[0]} to {dates[-1]}")]
    facts += [(key, ", ".join(dict.fromkeys(str(piece.origin[key]) for piece in pieces))) for key in _ORIGIN]
    missing = missing_lines(order)
    rows = [(f"`{key}`", here, full) for key, here, full in protocol]
    rounded = sorted({f"{piece.item.name} ({piece.task})" for piece in pieces if piece.origin["rounded"]})
    return "\n".join([
        f"# Where the numbers of `{name}` are from",
        "",
        "Made by `python -m stages.slices run`, in short slices of time on machines that keep nothing, with the",
        "functions of the DVC stages; put together by `python -m stages.slices merge` (docs/gpu-slices.md).",
        "",
        *markdown_table(("what", "value"), facts),
        "",
        "## Full or reduced protocol",
        "",
        *(markdown_table(("param", "here", "full protocol"), rows) if rows else ["The full protocol."]),
        "",
        "## Rounded weights",
        "",
        "These rest on networks that were trained in an earlier slice and travelled as bfloat16, which is not exactly",
        "what was trained; all others were sampled, imputed and measured where their networks were trained:",
        "",
        *([f"- {line}" for line in rounded] or ["- none"]),
        "",
        "## Missing",
        "",
        *([f"- {line}" for line in missing] or ["- nothing"]),
        "",
        "## Cost",
        "",
        *cost_table(timings),
        "",
        "## Each piece",
        "",
        *markdown_table(
            ("item", "task", "date", "commit", "device"),
            [(p.item.name, p.task, *(p.origin[key] for key in ("time", "commit", "device"))) for p in pieces],
        ),
        "",
    ])  # fmt: skip


def protocol_rows(document: Mapping[str, Any], full: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """(param, value here, value of the full protocol) of every param that has another value there.

    Args:
        document: the params.
        full: those of `profile=paper grid=paper`: the paper's, but for the recipe of DiffPuter.
    """
    here, there = _leaves(document), _leaves(full)
    values = [(key, here.get(key, "(none)"), there.get(key, "(none)")) for key in {**there, **here}]
    return [(key, mine, paper) for key, mine, paper in values if mine != paper and not _no_protocol(key)]


def _leaves(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for key, value in document.items():
        leaves |= _leaves(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return leaves


def _no_protocol(key: str) -> bool:
    return key in _NO_PROTOCOL or key.endswith(".chunk_size")


def missing_lines(order: Order) -> list[str]:
    """What of the grid was not measured: a line for each stage, method and seed, with its missing rates."""
    rates: dict[str, list[str]] = {}
    for work in (step.work for part in order.parts for step in order.steps(part) if step.measure):
        item = work.item
        rates.setdefault(f"{work.stage} {item.method}, seed {item.seed}", []).append(str(item.missing_rate))
    return [f"{what}: {', '.join(at)}" for what, at in rates.items()]


def cost_table(timings: pd.DataFrame) -> list[str]:
    """Seconds by stage, method and device, of steps that ended."""
    ended = timings[timings["ended"].astype(bool)]
    method = ended["item"].fillna("").str.rsplit("-", n=1).str[-1].where(ended["stage"].isin(["sample", "impute"]), "")
    grouped = ended.groupby([ended["stage"], method.rename("method"), ended["device"]], sort=False)["seconds"]
    rows = [(*key, len(of), f"{of.mean():.1f}", f"{of.sum():.0f}") for key, of in grouped]
    return markdown_table(("stage", "method", "device", "items", "seconds each", "in all"), rows)


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """Its lines."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return lines + [f"| {' | '.join(str(cell).replace('|', '/') for cell in row)} |" for row in rows]
