"""Tables, figure and verdicts of `benchmarks.few_steps`, from its rows alone."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from numpy.typing import NDArray

from benchmarks.few_steps_rule import MIN_SEEDS, Verdict, cheapest, equal_fid, not_worse
from benchmarks.page import RESULTS
from ldmiss.figures.curves import draw_legend
from ldmiss.figures.style import display_name, figure_style, new_figure, render, use_log_scale
from ldmiss.files.atomic import atomic_write
from ldmiss.sampling.samplers import SAMPLERS

COMMAND = "python -m benchmarks.few_steps"
ROWS, FIGURE = "few_steps.jsonl", "few_steps.png"
"""Names in the folder of a device's results."""
REFERENCE = ("euler_maruyama", 1000)
JUDGED = {"generation": ("fid",), "imputation": ("mse", "crps")}
"""The metrics that the rule is about; all others are only shown."""
SHOWN = {"generation": ("fid", "is"), "imputation": ("mse", "crps", "calibration")}
NAMES = {
    "fid": "FID", "is": "IS", "mse": "MSE of one draw, missing pixels", "crps": "CRPS",
    "calibration": "calibration of the draws (1 is honest)",
}  # fmt: skip
DIGITS = {"fid": 1, "is": 2, "mse": 5, "crps": 5, "calibration": 2}

GROUP = ("method", "missing_rate", "cell_seed", "model", "task", "num_images", "num_draws")
"""What rows that can be compared have in common; `model` is the beginning of its file's SHA-256."""
Setting = tuple[str, int]
"""(sampler, number of steps)."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Group:
    """All settings measured on one model with the same numbers of images and draws.

    Attributes:
        shared: what all its rows say of the keys in `GROUP`.
        settings: (sampler, steps) -> its rows, one a sampling seed.
        reference: the setting that the others are compared with.
    """

    shared: dict[str, Any]
    settings: Mapping[Setting, list[Row]]
    reference: Setting

    def values(self, setting: Setting, metric: str) -> NDArray[np.float64]:
        """The metric's value for each sampling seed; NaN where there was none."""
        return np.array([row["metrics"].get(metric, np.nan) for row in self.settings[setting]])

    def evaluations(self, setting: Setting) -> int:
        """Network evaluations for one image."""
        return int(self.settings[setting][0]["num_evaluations"])

    def by_image(self, setting: Setting, metric: str, seeds: set[int]) -> NDArray[np.float64]:
        """The metric of each image, a mean over these sampling seeds, (N,)."""
        return np.mean([row["by_image"][metric] for row in self.settings[setting] if row["seed"] in seeds], axis=0)

    def verdicts(self, setting: Setting) -> dict[str, Verdict]:
        """By judged metric; empty where the reference or, for an FID, the seeds are lacking."""
        both = [setting, self.reference]
        of_seeds = [{row["seed"] for row in self.settings.get(each, [])} for each in both]
        if self.shared["task"] == "generation":
            if min(map(len, of_seeds)) < MIN_SEEDS:
                return {}
            return {"fid": equal_fid(*(self.values(each, "fid").tolist() for each in both))}
        seeds = set.intersection(*of_seeds)
        return {
            metric: not_worse(*(self.by_image(each, metric, seeds) for each in both))
            for metric in JUDGED["imputation"]
            if seeds
        }

    def chosen(self) -> Setting | None:
        """The cheapest setting that holds in all that is judged."""
        judged = {setting: self.verdicts(setting) for setting in self.settings if setting != self.reference}
        holds = {setting: all(each.holds for each in found.values()) for setting, found in judged.items() if found}
        return cheapest(holds, {setting: self.evaluations(setting) for setting in holds})


def load_rows(path: Path) -> list[Row]:
    """The rows measured so far."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def groups_of(rows: list[Row], reference: Setting) -> list[Group]:
    """The rows in groups, settings in order of steps."""
    found: dict[tuple[Any, ...], dict[Setting, list[Row]]] = {}
    for row in sorted(rows, key=lambda row: (row["num_steps"], row["seed"])):
        settings = found.setdefault(tuple(row[key] for key in GROUP), {})
        settings.setdefault((row["sampler"], row["num_steps"]), []).append(row)
    return [Group(dict(zip(GROUP, key, strict=True)), settings, reference) for key, settings in found.items()]


def _mean_and_sd(values: NDArray[np.float64]) -> dict[str, float | None]:
    known = values[np.isfinite(values)]
    sd = float(known.std(ddof=1)) if len(known) > 1 else None
    return {"mean": float(known.mean()) if len(known) else None, "sd": sd}


def markdown(group: Group) -> str:
    """A heading, one table per metric with steps in rows and samplers in columns, and what was chosen."""
    shared, machine = group.shared, next(iter(group.settings.values()))[0]["machine"]
    draws = f", {shared['num_draws']} draws each" if shared["task"] == "imputation" else ""
    lines = [
        f"**{shared['method']}, {shared['task']}**: trained at rate {shared['missing_rate']:g} (profile "
        f"`{machine['profile']}`), {shared['num_images']} images{draws}; {machine['cpu']}, {machine['dtype']}, "
        f"{machine['num_threads']} thread(s).", "",
    ]  # fmt: skip
    for metric in SHOWN[shared["task"]]:
        lines += [*_table(group, NAMES[metric], partial(_cell, group, metric)), ""]
    lines += [
        *_table(group, "milliseconds of the processor per image, threads added up", partial(_milliseconds, group)),
        "",
    ]
    return "\n".join([*lines, _choice(group)])


def _table(group: Group, title: str, cell: Callable[[Setting], str]) -> list[str]:
    samplers = list(dict.fromkeys(sampler for sampler, _ in sorted(group.settings, key=lambda s: s != group.reference)))
    steps = sorted({num_steps for _, num_steps in group.settings})
    names = [f"{name} (2n - 1 evaluations)" if name == "heun" else name for name in samplers]
    lines = [f"| {title}: steps | {' | '.join(names)} |", f"|---|{'---|' * len(samplers)}"]
    for n in steps:
        cells = [cell((name, n)) if (name, n) in group.settings else "" for name in samplers]
        lines.append(f"| {n} | {' | '.join(cells)} |")
    return lines


def _cell(group: Group, metric: str, setting: Setting) -> str:
    value = _mean_and_sd(group.values(setting, metric))
    if value["mean"] is None:
        return "–"
    text = f"{value['mean']:.{DIGITS[metric]}f}"
    text += "" if value["sd"] is None else f" ± {value['sd']:.{DIGITS[metric]}f}"
    verdict = group.verdicts(setting).get(metric)
    return f"**{text}**" if verdict is not None and verdict.holds else text


def _milliseconds(group: Group, setting: Setting) -> str:
    return f"{1000 * np.mean([row['seconds_per_image'] for row in group.settings[setting]]):.1f}"


def _choice(group: Group) -> str:
    name = f"{group.reference[1]} steps of {group.reference[0]}"
    if group.reference not in group.settings:
        return f"Not judged: {name} was not measured."
    chosen = group.chosen()
    if chosen is None:
        return f"No setting measured is as good as {name} by the rule."
    ratio = group.evaluations(group.reference) / group.evaluations(chosen)
    return (
        f"Cheapest setting as good as {name}: **{chosen[0]}, {chosen[1]} steps**, {ratio:.0f} times fewer evaluations "
        f"({'; '.join(_difference(group, chosen, metric) for metric in JUDGED[group.shared['task']])})."
    )


def _difference(group: Group, setting: Setting, metric: str) -> str:
    verdict, unit = group.verdicts(setting)[metric], "sd of the reference" if metric == "fid" else "se, paired"
    digits = DIGITS[metric]
    return f"{metric.upper()} {verdict.difference:+.{digits}f}, {unit} {verdict.unit:.{digits}f}"


def draw(axis: Axes, group: Group, metric: str) -> None:
    """One line per sampler against the evaluations, bars of one standard deviation over sampling seeds."""
    of_group = {sampler for sampler, _ in group.settings}
    for colour, marker, name in zip(cycle(sns.color_palette("colorblind")), cycle("osD^vPX"), SAMPLERS, strict=False):
        if name not in of_group:
            continue
        settings = [setting for setting in group.settings if setting[0] == name]
        values = [_mean_and_sd(group.values(setting, metric)) for setting in settings]
        x, y, sd = ([group.evaluations(s) for s in settings], [v["mean"] for v in values], [v["sd"] for v in values])
        bars = None if all(value is None for value in sd) else np.array(sd, float)
        axis.errorbar(x, np.array(y, float), bars, color=colour, marker=marker, label=name)
    if group.reference in group.settings:
        axis.axhline(float(np.nanmean(group.values(group.reference, metric))), color="grey", linewidth=0.8, zorder=0)
    use_log_scale(axis)
    title = f"{display_name(group.shared['method'])}: {NAMES[metric]}"
    axis.set(xscale="log", xlabel="network evaluations", title=title)


@figure_style()
def draw_all(rows: list[Row], path: Path) -> None:
    """The figure: a panel for each group and judged metric."""
    panels = [(group, metric) for group in groups_of(rows, REFERENCE) for metric in JUDGED[group.shared["task"]]]
    figure, axes = new_figure(1, len(panels), width=3.4, height=3.0)
    for axis, (group, metric) in zip(axes, panels, strict=True):
        draw(axis, group, metric)
    draw_legend(figure)
    content = render(figure, "png")
    atomic_write(path, lambda file: file.write(content))


def tables(rows: list[Row]) -> str:
    """The tables of all groups."""
    return "\n\n".join(markdown(group) for group in groups_of(rows, REFERENCE))


def all_devices() -> str:
    """Tables and figure of every device that has results."""
    return "\n\n".join(
        f"{tables(load_rows(path))}\n\n![Quality and cost](../benchmarks/results/{path.parent.name}/{FIGURE})"
        for path in sorted(RESULTS.glob(f"*/{ROWS}"))
    )
