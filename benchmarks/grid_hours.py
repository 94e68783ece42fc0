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

from ldmiss.diffusion.samplers import num_evaluations
from ldmiss.imputation.diffputer import Sampling
from stages import params as params_module
from stages.compose import composed
from stages.datasets import DATASETS

if TYPE_CHECKING:
    from stages.schema import DiffPuter, Params, Train
    from stages.schema.methods import Generation, Guidance

GRIDS = {
    "exact": ["profile=paper", "grid=paper"],
    "fast": ["profile=paper", "grid=paper", "protocol=fast"],
}


def training_steps(params: "Params") -> dict[str, int]:
    """Steps of all cells, by the row of the benchmark that measures one."""
    num_items, cells = DATASETS[params.dataset.name].num_train, num_cells(params)
    trained = {"train-vae": params.vae.train, "train-latent": params.ldmiss.train, "train-pixel": params.ddpm.train}
    steps = {row: cells * train.epochs * -(-num_items // train.batch_size) for row, train in trained.items()}
    m_steps = sum(train.epochs * -(-num_items // train.batch_size) for train in m_step_trainings(params.diffputer))
    return steps | {"m-step": cells * m_steps}


def units(params: "Params") -> dict[str, int]:
    """Units of all cells by row: images or rows of training, image-steps, row-evaluations."""
    dataset, cells = DATASETS[params.dataset.name], num_cells(params)
    counts: Counter[str] = Counter()
    trained = {"train-vae": params.vae.train, "train-latent": params.ldmiss.train, "train-pixel": params.ddpm.train}
    counts.update({row: dataset.num_train * train.epochs for row, train in trained.items()})
    counts["m-step"] = dataset.num_train * sum(train.epochs for train in m_step_trainings(params.diffputer))
    counts["e-step"] = dataset.num_train * e_step_evaluations(params.diffputer)
    counts.update(_sampling(params))
    counts.update(_imputing(params, dataset.num_test))
    return {row: cells * count for row, count in counts.items()}


def num_cells(params: "Params") -> int:
    """Of the grid."""
    return len(params.grid.missing_rates) * len(params.grid.seeds)


def m_step_trainings(diffputer: "DiffPuter") -> "list[Train]":
    """One for each EM iteration."""
    return [diffputer.em.train_first] + [diffputer.em.train_next] * (diffputer.em.num_iterations - 1)


def e_step_evaluations(diffputer: "DiffPuter") -> int:
    """Of each row in all E-steps; the last iteration has none."""
    settings = diffputer.em.e_step
    trials = settings.num_trials if settings.statistic == "mean" else 1
    each = Sampling(settings.num_steps, settings.num_resamples).num_evaluations()
    return (diffputer.em.num_iterations - 1) * trials * each


def _sampling(params: "Params") -> dict[str, int]:
    """A cell's, of all methods that sample."""
    of_rows = {
        "ldmiss": ("sample-latent", _evaluations(params.ldmiss.sample)),
        "ddpm": ("sample-pixel", _evaluations(params.ddpm.sample)),
        "diffputer": ("e-step", 2 * params.diffputer.sample.num_steps - 1),
    }
    chosen = [of_rows[method] for method in params.sample.methods]
    return {row: params.sample.num_images * count for row, count in chosen}


def _evaluations(settings: "Generation | Guidance") -> int:
    return num_evaluations(settings.sampler, settings.num_steps)


def _imputing(params: "Params", num_test: int) -> dict[str, int]:
    """A cell's, of all methods with a network's evaluations at each step."""
    settings = params.impute
    num_images = num_test if settings.num_images == "all" else settings.num_images
    num_rows = num_images + (settings.num_draws - 1) * settings.num_draw_images
    replacement, of_diffputer = params.ddpm.impute.replacement, params.diffputer.impute
    each = {
        "ldmiss": {"guide-latent": _evaluations(params.ldmiss.impute.guidance)},
        "ddpm": {
            "guide-pixel": _evaluations(params.ddpm.impute.guidance),
            "sample-pixel": (replacement.num_steps - 1) * replacement.num_resamples + 1,
        },
        "diffputer": {"e-step": Sampling(of_diffputer.num_steps, of_diffputer.num_resamples).num_evaluations()},
    }
    found = [each[method] for method in settings.methods if method in each]
    return {row: num_rows * count for counts in found for row, count in counts.items()}


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
