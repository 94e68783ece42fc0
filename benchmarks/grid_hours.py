"""What the paper's grid would take, from the measured time of a training step, an image-step and a row-evaluation.

Counted from the params: training, sampling, imputing. Left out, as minutes a cell: masks, encoding, the linear models,
evaluation, figures, DVC. The score networks' training and sampling are measured as diffusers can have them: the latent
one at 8 x 8 instead of 7 x 7 and resampling by single convolutions, which is about as much work for the latent network
and an eighth less for the pixel network. Guidance and DiffPuter are measured as they are.
"""

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import yaml

from ldmiss_pipeline.config import params as params_module
from ldmiss_pipeline.config.compose import composed
from ldmiss_pipeline.running import units as counted
from ldmiss_pipeline.running.units import TRAINED

if TYPE_CHECKING:
    from ldmiss_pipeline.config.schema import Params

GRIDS = {
    "exact": ["profile=paper", "grid=paper"],
    "fast": ["profile=paper", "grid=paper", "protocol=fast"],
}


def training_steps(params: "Params") -> dict[str, int]:
    """Steps of all cells, by the row of the benchmark that measures one."""
    cells = num_cells(params)
    return {row: cells * count for stage in TRAINED for row, count in counted.training_steps(params, stage).items()}


def units(params: "Params") -> dict[str, int]:
    """Units of all cells by row: images or rows of training, image-steps, row-evaluations."""
    items: list[tuple[str, str | None]] = [(stage, None) for stage in TRAINED]
    items += [("sample", method) for method in params.sample.methods]
    items += [("impute", method) for method in params.impute.methods]
    counts: Counter[str] = Counter()
    for stage, method in items:
        counts.update(counted.units(params, stage, method))
    return {row: num_cells(params) * count for row, count in counts.items()}


def num_cells(params: "Params") -> int:
    """Of the grid."""
    return len(params.grid.missing_rates) * len(params.grid.seeds)


def project(record: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """For each grid its parts with their hours, from the benchmark's record; parts not measured have None."""
    return {name: hours(record, _params(overrides)) for name, overrides in GRIDS.items()}


def hours(record: Mapping[str, Any], params: "Params") -> list[dict[str, Any]]:
    """A grid's parts: row, units, training steps where there are, hours; ours as run, on one device."""
    steps, name = training_steps(params), f"ours {record['machine']['dtype']}"
    one_draw = units(params.model_copy(update={"impute": params.impute.model_copy(update={"num_draws": 1})}))
    parts = []
    for row, count in units(params).items():
        timed = record["rows"].get(row, {}).get("timed", {}).get(name)
        per_hour = None if timed is None else 3600 * timed["units_per_second"]
        parts.append({
            "row": row, "units": count, "steps": steps.get(row), "hours": per_hour and count / per_hour,
            "hours_with_one_draw": per_hour and one_draw[row] / per_hour,
        })  # fmt: skip
    return parts


def _params(overrides: list[str]) -> "Params":
    return params_module.validate(yaml.safe_load(composed(overrides)), " ".join(overrides))


def lines(record: Mapping[str, Any]) -> list[str]:
    """For terminal and table: a line for each grid of `record["grids"]`, its parts after the sum."""
    return [_line(name, parts, record["rows"]) for name, parts in record.get("grids", {}).items()]


def _line(name: str, parts: list[dict[str, Any]], rows: Mapping[str, Any]) -> str:
    measured = [part for part in parts if part["hours"] is not None]
    total, one_draw = (f"{sum(part[key] for part in measured):,.1f} h" for key in ("hours", "hours_with_one_draw"))
    listed = "; ".join(
        f"{rows[part['row']]['title']} {part['hours']:,.1f} h ({part['units']:.3g} {rows[part['row']]['unit']}s"
        + (f" in {part['steps']:,} steps)" if part["steps"] else ")")
        for part in measured
    )
    missing = [part["row"] for part in parts if part["hours"] is None]
    without = f"; not measured, so left out: {', '.join(missing)}" if missing else ""
    return f"The {name} grid: {one_draw}, {total} with all draws, projected from the rows above: {listed}{without}."
