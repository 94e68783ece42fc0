"""What the README says about results of slices: figures, numbers, verdicts, cost and gaps, from committed files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ldmiss.evaluation.claims import claims_records
from ldmiss.evaluation.published import compare_published, published_markdown
from ldmiss.evaluation.results import Lacking, Results, check_table
from ldmiss.evaluation.tables import of_whole_seeds
from stages.claims import read_table
from stages.io import load_json
from stages.slices.provenance import PAGE, PROTOCOL, cost_table, markdown_table

NOT_YET = "Not run yet: it waits for a GPU ([docs/gpu-slices.md](docs/gpu-slices.md) has the commands)."
FIGURES = {
    "figure1": "FID and IS of samples against the training missing rate", "figure2": "Samples",
    "figure3": "MSE, FID and IS of imputed test images", "figure4": "Imputed test images",
}  # fmt: skip
SHOWN = {"generation": ("fid", "is"), "imputation": ("mse", "fid", "accuracy")}
FEW_STEPS = (
    "Few steps were shown equal to 1,000 of euler_maruyama for LDMiss's generation by sde_dpm_solver_pp alone "
    "([docs/performance.md](docs/performance.md#fewer-steps)): verdicts that compare LDMiss with the DDPM by other "
    "samplers or steps named here rest on unmeasured ones."
)
_MISSING = ("## Missing", "## Cost")


def section(folder: Path, name: str = "results/paper") -> str:
    """The section in Markdown.

    Args:
        folder: as `stages.slices.publish` writes it; it may not be there yet.
        name: of the folder in links.
    """
    if not (folder / "table.csv").is_file():
        return NOT_YET
    table, protocol = of_whole_seeds(read_table(folder / "table.csv")), load_json(folder / PROTOCOL)
    results = check_table(table)
    figures = [stem for stem in FIGURES if (folder / f"{stem}.png").is_file()]
    seeds = ", ".join(map(str, sorted(set(table["seed"]))))
    return "\n".join([
        f"{_protocol(protocol)} Tables and verdicts: seed {seeds} (figures: all there is); classifier",
        f"`{results.facts['sha256'][:12]}`. Commit, device and dates: [{name}/{PAGE}]({name}/{PAGE}).",
        "",
        *(f"![{FIGURES[stem]}]({name}/{stem}.png)\n" for stem in figures),
        *(line for task, metrics in SHOWN.items() for line in [*numbers_table(results, task, metrics), ""]),
        *_verdicts(claims_records(table)),
        "",
        published_markdown(compare_published(table)),
        *cost_table(pd.read_csv(folder / "timings.csv")),
        "",
        f"Still missing: {_missing(folder)}",
    ])  # fmt: skip


def _protocol(rows: Sequence[Sequence[Any]]) -> str:
    """What is not the paper's, and what few steps rest on."""
    if not rows:
        return "The full protocol."
    line = f"**Reduced protocol**: {'; '.join(f'`{key}` {here} instead of {full}' for key, here, full in rows)}."
    solved = any(key.startswith(("ldmiss.", "ddpm.")) and key.endswith((".sampler", ".num_steps")) for key, *_ in rows)
    return f"{line} {FEW_STEPS}" if solved else line


def numbers_table(results: Results, task: str, metrics: Sequence[str]) -> list[str]:
    """A row a method, a column a metric and missing rate; means over seeds, empty where a cell was not measured."""
    methods = list(dict.fromkeys(method for of, method, _ in results.values if of == task))
    columns = [(metric, rate) for metric in metrics for rate in results.rates]
    head = [task, *(f"{metric} at {rate:g}" for metric, rate in columns)]
    return markdown_table(
        head, [[method, *(_number(results, task, method, *at) for at in columns)] for method in methods]
    )


def _number(results: Results, task: str, method: str, metric: str, rate: float) -> str:
    try:
        value = results.estimate(task, method, metric, rate).mean
    except Lacking:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _verdicts(records: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [[of["id"], of["statement"], of["section"], f"**{of['verdict']}**: {of['reason']}"] for of in records]
    return markdown_table(("", "claim", "section", "verdict"), rows)


def _missing(folder: Path) -> str:
    start, end = _MISSING
    text = (folder / PAGE).read_text().partition(start)[2].partition(end)[0]
    return "; ".join(line.removeprefix("- ") for line in text.splitlines() if line) + "."
