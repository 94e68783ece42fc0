"""How much a stage computes, counted from the params: units of each kind, for projections and estimates.

Kinds are what the benchmark measures: `train-vae`, `train-latent`, `train-pixel` (images of training), `m-step` (rows
of training), `e-step` (evaluations of a row, wherever DiffPuter samples), `sample-latent`, `sample-pixel`,
`guide-latent`, `guide-pixel` (images times steps). Left out is what no network dominates: masks, encoding, the linear
models.
"""

from typing import TYPE_CHECKING

from ldmiss.diffputer.em import Sampling
from ldmiss.sampling.samplers import num_evaluations
from ldmiss_pipeline.datasets.registry import DATASETS

if TYPE_CHECKING:
    from ldmiss_pipeline.config.schema import DiffPuter, Params, Train
    from ldmiss_pipeline.config.schema.methods import Generation, Guidance

TRAINED = ("train_vae", "train_ldm", "train_ddpm", "train_diffputer")
"""The stages that train a network of a cell."""


def units(params: "Params", stage: str, method: str | None = None) -> dict[str, int]:
    """Units by kind of one item of a stage; none where nothing is counted."""
    num_train = DATASETS[params.dataset.name].num_train
    if stage in TRAINED:
        counts = {kind: num_train * sum(train.epochs for train in of) for kind, of in trainings(params, stage).items()}
        if stage == "train_diffputer":
            counts["e-step"] = num_train * _e_step_evaluations(params.diffputer)
        return counts
    if stage == "sample":
        return _times(params.sample.num_images, _of_a_sample(params).get(str(method), {}))
    if stage == "impute":
        return _times(_num_rows(params), _of_an_imputation(params).get(str(method), {}))
    return {}


def trainings(params: "Params", stage: str) -> "dict[str, list[Train]]":
    """The trainings of a stage in `TRAINED` by kind: one, or one for each EM iteration."""
    em = params.diffputer.em
    return {
        "train_vae": {"train-vae": [params.vae.train]},
        "train_ldm": {"train-latent": [params.ldmiss.train]},
        "train_ddpm": {"train-pixel": [params.ddpm.train]},
        "train_diffputer": {"m-step": [em.train_first] + [em.train_next] * (em.num_iterations - 1)},
    }[stage]


def training_steps(params: "Params", stage: str) -> dict[str, int]:
    """Steps of a stage in `TRAINED` by kind."""
    num_train = DATASETS[params.dataset.name].num_train
    return {
        kind: sum(train.epochs * -(-num_train // train.batch_size) for train in of)
        for kind, of in trainings(params, stage).items()
    }


def _e_step_evaluations(diffputer: "DiffPuter") -> int:
    """Of each row in all E-steps; the last iteration has none."""
    settings = diffputer.em.e_step
    trials = settings.num_trials if settings.statistic == "mean" else 1
    each = Sampling(settings.num_steps, settings.num_resamples).num_evaluations()
    return (diffputer.em.num_iterations - 1) * trials * each


def _of_a_sample(params: "Params") -> dict[str, dict[str, int]]:
    return {
        "ldmiss": {"sample-latent": _evaluations(params.ldmiss.sample)},
        "ddpm": {"sample-pixel": _evaluations(params.ddpm.sample)},
        "diffputer": {"e-step": 2 * params.diffputer.sample.num_steps - 1},
    }


def _of_an_imputation(params: "Params") -> dict[str, dict[str, int]]:
    replacement, of_diffputer = params.ddpm.impute.replacement, params.diffputer.impute
    return {
        "ldmiss": {"guide-latent": _evaluations(params.ldmiss.impute.guidance)},
        "ddpm": {
            "guide-pixel": _evaluations(params.ddpm.impute.guidance),
            "sample-pixel": (replacement.num_steps - 1) * replacement.num_resamples + 1,
        },
        "diffputer": {"e-step": Sampling(of_diffputer.num_steps, of_diffputer.num_resamples).num_evaluations()},
    }


def _evaluations(settings: "Generation | Guidance") -> int:
    return num_evaluations(settings.sampler, settings.num_steps)


def _num_rows(params: "Params") -> int:
    """Images that are imputed: all once, some K times."""
    impute = params.impute
    num_images = DATASETS[params.dataset.name].num_test if impute.num_images == "all" else impute.num_images
    return num_images + (impute.num_draws - 1) * impute.num_draw_images


def _times(number: int, counts: dict[str, int]) -> dict[str, int]:
    return {kind: number * count for kind, count in counts.items()}
