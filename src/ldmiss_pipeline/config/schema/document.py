"""The whole document, and what holds between its sections."""

import math
from typing import Literal

from pydantic import model_validator

from ldmiss_pipeline.config.registry import TRAINED_BY_TRAIN
from ldmiss_pipeline.config.schema.base import Name, Probability, Section, Seed
from ldmiss_pipeline.config.schema.data import Compute, DatasetParams, Missing
from ldmiss_pipeline.config.schema.inference import Evaluate, Grid, Impute, Plot, Sample, TrainStage
from ldmiss_pipeline.config.schema.methods import (
    DDPM,
    VAE,
    Baselines,
    Classifier,
    DiffPuter,
    Diffusion,
    Latents,
    LDMiss,
)
from ldmiss_pipeline.datasets.registry import DATASETS


class Params(Section):
    """The whole document, one section per stage or method."""

    profile: Name
    learning_rates: Literal["paper", "tuned"]
    inference: Literal["exact", "fast", "reduced"]
    missing_rate: Probability
    seed: Seed
    grid: Grid
    dataset: DatasetParams
    compute: Compute
    missing: Missing
    diffusion: Diffusion
    classifier: Classifier
    vae: VAE
    latents: Latents
    ldmiss: LDMiss
    ddpm: DDPM
    diffputer: DiffPuter
    baselines: Baselines
    train: TrainStage
    sample: Sample
    impute: Impute
    evaluate: Evaluate
    plot: Plot

    @model_validator(mode="after")
    def _numbers_fit(self) -> "Params":
        available = DATASETS[self.dataset.name].num_test
        num_images = available if self.impute.num_images == "all" else self.impute.num_images
        if num_images > available:
            raise ValueError(
                f"impute.num_images: {num_images} is more than the {available} test images of {self.dataset.name}"
            )
        if self.impute.num_draw_images > num_images:
            raise ValueError(
                f"impute.num_draw_images: {self.impute.num_draw_images} is more than the {num_images} imputed images"
            )
        num_pixels = self.impute.num_draw_images * DATASETS[self.dataset.name].size ** 2
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
    def _attention_occurs(self) -> "Params":
        """`ldmiss.diffusion.unet.level_sizes`, which would load torch (a test compares)."""
        size = DATASETS[self.dataset.name].size
        latent_size = size // 2 ** (len(self.vae.network.channel_multipliers) - 1)
        for name, network, top in (("ldmiss", self.ldmiss.network, latent_size), ("ddpm", self.ddpm.network, size)):
            sizes = [math.ceil(top / 2**level) for level in range(len(network.channel_multipliers))]
            if unknown := [at for at in network.attention_resolutions if at not in sizes]:
                raise ValueError(
                    f"{name}.network.attention_resolutions: {unknown} are no sizes of it; allowed: {sizes}"
                )
        return self

    @model_validator(mode="after")
    def _methods_are_trained(self) -> "Params":
        for stage, methods in (("sample", self.sample.methods), ("impute", self.impute.methods)):
            for method in methods:
                if method in TRAINED_BY_TRAIN and method not in self.train.methods:
                    raise ValueError(f"{stage}.methods: {method} is not in train.methods, {self.train.methods}")
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
        return self

    def warnings(self) -> list[str]:
        """A line for each value that has no effect beside the others."""
        named = [("missing_rate", self.missing_rate, self.grid.missing_rates), ("seed", self.seed, self.grid.seeds)]
        lines = [
            f"{name}={value} has no effect: grid '{self.grid.name}' runs {allowed}"
            for name, value, allowed in named
            if value not in allowed
        ]
        e_step = self.diffputer.em.e_step
        if e_step.statistic == "sample" and e_step.num_trials > 1:
            lines.append(f"diffputer.em.e_step.num_trials={e_step.num_trials} has no effect: a sample is one draw")
        return lines
