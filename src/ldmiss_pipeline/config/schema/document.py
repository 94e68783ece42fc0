"""The whole document, and what holds between its sections."""

import math
from typing import Literal

from pydantic import model_validator

from ldmiss_pipeline.config.registry import NEEDED_BY, TRAINED_BY_TRAIN
from ldmiss_pipeline.config.schema.base import Name, Probability, Section, Seed
from ldmiss_pipeline.config.schema.data import Compute, DatasetParams, Missing
from ldmiss_pipeline.config.schema.inference import Complete, Evaluate, Grid, Impute, Plot, Sample, Train
from ldmiss_pipeline.config.schema.methods import (
    DDPM,
    MIWAE,
    VAE,
    Baselines,
    Classifier,
    Conditional,
    DiffPuter,
    Diffusion,
    EMDiffusion,
    Latents,
    LDMiss,
    Posterior,
    Regression,
)
from ldmiss_pipeline.datasets.registry import DATASETS


class Params(Section):
    """The whole document, one section per stage or method."""

    profile: Name
    learning_rates: Literal["paper", "tuned"]
    inference: Literal["exact", "fast", "reduced"]
    missing_rate: Probability | None
    seed: Seed | None
    grid: Grid
    dataset: DatasetParams
    compute: Compute
    missing: Missing
    diffusion: Diffusion
    classifier: Classifier
    vae: VAE
    latents: Latents
    ldmiss: LDMiss
    posterior: Posterior
    ddpm: DDPM
    diffputer: DiffPuter
    regression: Regression
    conditional: Conditional
    miwae: MIWAE
    em_diffusion: EMDiffusion
    baselines: Baselines
    train: Train
    sample: Sample
    impute: Impute
    complete: Complete
    evaluate: Evaluate
    plot: Plot

    @model_validator(mode="after")
    def _numbers_fit(self) -> "Params":
        dataset = DATASETS[self.dataset.name]
        available = dataset.num_test
        if available is None or dataset.shape is None:  # only the person's files say
            return self
        num_images = available if self.impute.num_images == "all" else self.impute.num_images
        if num_images > available:
            raise ValueError(
                f"impute.num_images: {num_images} is more than the {available} test images of {self.dataset.name}; "
                f"allowed: at most {available}, or all"
            )
        if self.impute.num_draw_images > num_images:
            raise ValueError(
                f"impute.num_draw_images: {self.impute.num_draw_images} is more than the {num_images} imputed images"
            )
        num_pixels = self.impute.num_draw_images * math.prod(dataset.shape)
        if num_pixels * self.missing.test_rate < 1:
            raise ValueError(
                f"missing.test_rate: {self.missing.test_rate} leaves less than one missing pixel to expect in the "
                f"impute.num_draw_images={self.impute.num_draw_images} images with several draws: nothing to measure; "
                f"at least {math.ceil(1e6 / num_pixels) / 1e6} is needed"
            )
        shown = min(num_images, self.sample.num_images)
        if self.plot.num_columns > shown:
            raise ValueError(f"plot.num_columns: {self.plot.num_columns} is more than the {shown} images there are")
        return self

    @model_validator(mode="after")
    def _classifier_has_labels(self) -> "Params":
        if self.classifier.weights is not None and DATASETS[self.dataset.name].num_classes is None:
            raise ValueError(
                f"classifier.weights: {self.classifier.weights}, but {self.dataset.name} has no labels; it must be null"
            )
        return self

    @model_validator(mode="after")
    def _completes_own_images(self) -> "Params":
        if self.complete.methods and self.dataset.name != "own":
            raise ValueError(f"complete.methods: {self.complete.methods} are for dataset=own; allowed here: []")
        if absent := [method for method in self.complete.methods if method not in self.impute.methods]:
            raise ValueError(f"complete.methods: {absent} are not in impute.methods, which measures their error")
        return self

    @model_validator(mode="after")
    def _one_grid(self) -> "Params":
        """`missing_rate` and `seed` are what the grid runs, or null: a change of them alone would do nothing."""
        rate = None if self.missing_rate is None else round(self.missing_rate, 4)
        for name, value, key in (("missing_rate", rate, "missing_rates"), ("seed", self.seed, "seeds")):
            runs = getattr(self.grid, key)
            if value is not None and runs != [value]:
                raise ValueError(
                    f"{name}: {value}, but grid.{key} is {runs}: make them agree, or {name} null; "
                    f"`dvc exp run -S {name}=...` composes all of params.yaml anew, with both"
                )
        return self

    @model_validator(mode="after")
    def _methods_are_trained(self) -> "Params":
        methods = {*self.sample.methods, *self.impute.methods}
        seeds = {model: self.grid.seeds if methods.intersection(users) else [] for model, users in NEEDED_BY.items()}
        needed = [method for method in TRAINED_BY_TRAIN if method in methods]
        if (self.train.seeds.model_dump(), self.train.methods) != (seeds, needed):
            listed = ", ".join(f"{model}: {values}" for model, values in seeds.items())
            raise ValueError(
                f"train: does not fit grid.seeds, sample.methods and impute.methods, which need seeds: {{{listed}}}, "
                f"methods: {needed}"
            )
        return self

    @model_validator(mode="after")
    def _choices_agree(self) -> "Params":
        if self.learning_rates == "tuned" and self.profile != "paper":
            raise ValueError(
                f"learning_rates: tuned is for profile paper; {self.profile} has learning rates of its own"
            )
        if self.inference != "exact" and self.profile != "paper":
            raise ValueError(
                f"inference: {self.inference} is for profile paper; {self.profile} has samplers and steps of its own"
            )
        for name, impute in (("ldmiss", self.ldmiss.impute), ("ddpm", self.ddpm.impute)):
            if impute.guidance.t_max < self.diffusion.tau:
                raise ValueError(
                    f"{name}.impute.guidance.t_max: {impute.guidance.t_max} is below diffusion.tau, "
                    f"{self.diffusion.tau}: guidance would never act"
                )
        for name, matching in (
            ("posterior.calibrate.sampling", self.posterior.calibrate.sampling),
            ("ddpm.impute.moment_matching", self.ddpm.impute.moment_matching),
        ):
            if matching is not None and matching.t_start <= self.diffusion.tau:
                raise ValueError(
                    f"{name}.t_start: {matching.t_start}; allowed: above diffusion.tau, {self.diffusion.tau}, where "
                    "sampling ends"
                )
        return self
