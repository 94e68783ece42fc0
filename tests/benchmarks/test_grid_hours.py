"""The paper's grid in hours: counts from the params, times from the benchmark's record."""

import pytest
import yaml

from benchmarks.grid_hours import GRIDS, hours, lines, project, training_steps, units
from ldmiss_pipeline.config import params
from ldmiss_pipeline.config.compose import composed
from ldmiss_pipeline.config.schema import Params

IMAGES, CELLS = 60_000, 18
ROWS = 10_000 + 19 * 500
"""Imputed in a cell: all test images once, 500 of them 19 times more."""


def of(*overrides: str) -> Params:
    """Validated params."""
    return params.validate(yaml.safe_load(composed(list(overrides))), "test")


def test_counts_of_the_paper_profile() -> None:
    """By hand: 50 epochs in batches of 256; 1000 steps; DiffPuter of 4 iterations, 5 trials, 25 levels, 5 times."""
    paper = of(*GRIDS["exact"])
    score_steps = CELLS * 50 * 235  # ceil(60000 / 256)
    m_steps = CELLS * (300 + 3 * 100) * 59  # ceil(60000 / 1024)
    assert training_steps(paper) == {
        "train-vae": score_steps, "train-latent": score_steps, "train-pixel": score_steps, "m-step": m_steps,
    }  # fmt: skip
    each = 24 * 5 * 2 + 1
    assert units(paper) == {
        "train-vae": CELLS * 50 * IMAGES, "train-latent": CELLS * 50 * IMAGES, "train-pixel": CELLS * 50 * IMAGES,
        "m-step": CELLS * 600 * IMAGES,
        "sample-latent": CELLS * 10_000 * 1000,
        "sample-pixel": CELLS * (10_000 + ROWS) * 1000,  # generation and replacement
        "guide-latent": CELLS * ROWS * 1000, "guide-pixel": CELLS * ROWS * 1000,
        "e-step": CELLS * (3 * 5 * IMAGES * each + 10_000 * 99 + ROWS * each),
    }  # fmt: skip


def test_the_fast_grid_is_the_protocol_of_that_name() -> None:
    """Generation and guidance as in conf/protocol/fast.yaml; training and replacement are the exact ones."""
    exact, fast = of(*GRIDS["exact"]), of(*GRIDS["fast"])
    assert (fast.protocol, fast.ldmiss.sample.sampler) == ("fast", "sde_dpm_solver_pp")
    counts = units(fast)
    assert counts["sample-latent"] == CELLS * 10_000 * fast.ldmiss.sample.num_steps
    assert counts["guide-pixel"] == CELLS * ROWS * fast.ddpm.impute.guidance.num_steps
    assert counts["sample-pixel"] == CELLS * (10_000 * fast.ddpm.sample.num_steps + ROWS * 1000)
    assert training_steps(fast) == training_steps(exact)


def test_counts_follow_the_params() -> None:
    """Heun takes two evaluations a step but the last; a method that is left out costs nothing; repetitions count."""
    paper = ["profile=paper", "missing_rate=0.8"]
    heun = units(of(*paper, "ldmiss.sample.sampler=heun", "ldmiss.sample.num_steps=20"))
    assert heun["sample-latent"] == 10_000 * 39
    guided = units(of(*paper, "ldmiss.impute.guidance.sampler=heun", "ldmiss.impute.guidance.num_steps=20"))
    assert guided["guide-latent"] == ROWS * 39
    few = units(of(*paper, "sample.methods=[ldmiss]", "impute.methods=[ldmiss,baselines]", "impute.num_images=1000"))
    assert "guide-pixel" not in few
    assert "sample-pixel" not in few
    assert few["guide-latent"] == 1000 * (1000 + 19 * 500)
    repeated = units(of(*paper, "ddpm.impute.replacement.num_resamples=10"))
    assert repeated["sample-pixel"] == 10_000 * 1000 + ROWS * (999 * 10 + 1)
    sampled = units(of(*paper, "diffputer.em.e_step.statistic=sample"))
    assert sampled["e-step"] == 3 * IMAGES * 241 + 10_000 * 99 + ROWS * 241


def test_hours_are_units_over_speed_of_ours_as_run() -> None:
    """Of the native dtype; what was not measured is named and not counted."""
    timed = {"ours bfloat16": {"units_per_second": 1000.0}, "ours float32": {"units_per_second": 1.0}}
    rows = {"guide-latent": {"title": "Guidance", "unit": "image-step", "timed": timed}}
    record = {"machine": {"dtype": "bfloat16"}, "rows": rows}
    parts = {part["row"]: part["hours"] for part in hours(record, of(*GRIDS["exact"]))}
    assert parts.pop("guide-latent") == pytest.approx(18 * ROWS * 1000 / 1000 / 3600)
    assert set(parts.values()) == {None}
    grids = project(record)
    few = of(*GRIDS["fast"]).ldmiss.impute.guidance.num_steps
    assert {name: sum(part["hours"] or 0 for part in found) for name, found in grids.items()} == {
        "exact": pytest.approx(97.5), "fast": pytest.approx(97.5 * few / 1000),
    }  # fmt: skip
    exact, _ = lines(record | {"grids": grids})
    assert exact.startswith("The exact grid: 50.0 h, 97.5 h with all draws")
    assert "not measured, so left out: train-vae" in exact
