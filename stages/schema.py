"""The typed schema of `params.yaml`: one class per section, nothing filled in, nothing converted.

It refuses; it never supplies: no field has a default, so that what a stage computes follows from `params.yaml` alone
and this file need not be a dependency of every stage (a test holds both). `stages.params` loads the document and words
the errors.
"""

import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ldmiss.fill import FILLS
from ldmiss.missingness import MECHANISMS
from stages.datasets import DATASETS
from stages.table import GENERATORS, METHODS

SIZE, LATENT_SIZE = 28, 7

Count = Annotated[int, Field(ge=1)]
Steps = Annotated[int, Field(ge=2)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    """A part of the document: unknown keys are refused, values are taken as they are."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class DatasetParams(Section):
    name: str
    range: Literal["symmetric", "unit"]

    @model_validator(mode="after")
    def _known(self) -> "DatasetParams":
        return _one_of(self, self.name, DATASETS, "name")


class Compute(Section):
    device: Literal["auto", "cpu", "cuda"]
    dtype: Literal["auto", "float32", "bfloat16"]
    num_threads: Literal["auto"] | Count
    deterministic: bool


class Missing(Section):
    mechanism: str
    fill: str
    test_rate: Annotated[float, Field(gt=0, lt=1)]
    test_seed: Seed

    @model_validator(mode="after")
    def _known(self) -> "Missing":
        _one_of(self, self.mechanism, MECHANISMS, "mechanism")
        return _one_of(self, self.fill, FILLS, "fill")


class Train(Section):
    epochs: Count
    batch_size: Count
    lr: Positive
    lr_schedule: Literal["constant", "cosine", "warmup_cosine", "plateau"]
    ema_decay: Probability | None
    grad_clip: Positive | None
    early_stop: Count | None

    @model_validator(mode="after")
    def _one_choice_of_weights(self) -> "Train":
        if self.early_stop is not None and self.ema_decay is not None:
            raise ValueError("early_stop: keeps the best weights, ema_decay their average; one of them must be null")
        return self


class Classifier(Section):
    """`weights` has to lie in assets/, the folder that `dvc.yaml` names as the stage's dependency."""

    weights: str | None
    seed: Seed
    dropout: Probability
    train: Train

    @model_validator(mode="after")
    def _tracked(self) -> "Classifier":
        if self.weights is not None and Path(self.weights).parent != Path("assets"):
            raise ValueError(
                f"weights: {self.weights!r} must be null or a file in assets/, like assets/name.safetensors"
            )
        return self


class AutoencoderNetwork(Section):
    base_channels: Count
    channel_multipliers: Annotated[list[Count], Field(min_length=3, max_length=3)]
    num_res_blocks: Count
    latent_channels: Count
    num_groups: Count
    mid_attention: bool


class VAE(Section):
    encoder_input: Literal["faithful", "robust"]
    network: AutoencoderNetwork
    kl_weight: NonNegative
    train: Train


class Latents(Section):
    source: Literal["mean", "sample"]
    scale: Literal["global", "per_channel", "none"]


class UNetNetwork(Section):
    base_channels: Annotated[int, Field(ge=4, multiple_of=2)]
    channel_multipliers: Annotated[list[Count], Field(min_length=1, max_length=5)]
    num_res_blocks: Count
    attention_resolutions: list[Count]
    mid_attention: bool
    dropout: Probability
    num_groups: Count
    resampling: Literal["biggan", "conv"]

    @model_validator(mode="after")
    def _groups_keep_time_and_mean(self) -> "UNetNetwork":
        if math.gcd(self.num_groups, self.base_channels) == self.base_channels:
            raise ValueError(
                f"num_groups: {self.num_groups} leaves one channel per group at base_channels {self.base_channels}; "
                "such a normalisation removes the time and the mean of the input; at most half as many are allowed"
            )
        return self


class Diffusion(Section):
    beta_min: Positive
    beta_max: Positive
    tau: Annotated[float, Field(gt=0, lt=1)]

    @model_validator(mode="after")
    def _ordered(self) -> "Diffusion":
        if self.beta_max <= self.beta_min:
            raise ValueError("beta_max must be larger than beta_min")
        return self


class Loss(Section):
    weighting: Literal["simple", "likelihood"]


class ObservedLoss(Loss):
    normaliser: Literal["per_sample", "batch"]


class Generation(Section):
    sampler: Literal["euler_maruyama", "heun", "dpm_solver_pp"]
    num_steps: Steps


class Guidance(Section):
    num_steps: Steps
    weight: NonNegative
    t_max: Annotated[float, Field(gt=0, le=1)]
    backprop_score: bool


class Resampling(Section):
    num_steps: Steps
    num_resamples: Count


class LDMissImpute(Section):
    guidance: Guidance


class LDMiss(Section):
    network: UNetNetwork
    loss: Loss
    train: Train
    sample: Generation
    impute: LDMissImpute


class DDPMImpute(Section):
    guidance: Guidance
    replacement: Resampling


class DDPM(Section):
    network: UNetNetwork
    loss: ObservedLoss
    train: Train
    sample: Generation
    impute: DDPMImpute


class NumSteps(Section):
    num_steps: Steps


class EStep(Section):
    statistic: Literal["mean", "sample"]
    num_trials: Count
    num_steps: Steps
    num_resamples: Count
    chunk_size: Count


class EM(Section):
    num_iterations: Count
    warm_start: bool
    train_first: Train
    train_next: Train
    e_step: EStep


class DiffPuterNetwork(Section):
    hidden: Annotated[int, Field(ge=4, multiple_of=2)]


class DiffPuter(Section):
    recipe: Literal["quick", "lite", "standard", "official"]
    network: DiffPuterNetwork
    normalize: Literal["per_feature", "global"]
    std_floor: Positive
    em: EM
    sample: NumSteps
    impute: Resampling


class NoSettings(Section):
    pass


class Baselines(Section):
    ridge: Positive
    impute: NoSettings


class Sample(Section):
    methods: Annotated[list[str], Field(min_length=1)]
    num_images: Annotated[int, Field(ge=2)]
    chunk_size: Count

    @model_validator(mode="after")
    def _known(self) -> "Sample":
        for method in self.methods:
            _one_of(self, method, GENERATORS, "methods")
        return _distinct(self, self.methods, "methods")


class Impute(Section):
    methods: Annotated[list[str], Field(min_length=1)]
    num_images: Literal["all"] | Annotated[int, Field(ge=2)]
    num_draws: Count
    num_draw_images: Count
    chunk_size: Count

    @model_validator(mode="after")
    def _known(self) -> "Impute":
        for method in self.methods:
            _one_of(self, method, METHODS, "methods")
        return _distinct(self, self.methods, "methods")


class Evaluate(Section):
    fid_layer: Literal["penultimate", "pre_relu", "logits"]


class Plot(Section):
    num_columns: Annotated[int, Field(ge=1, le=20)]


class Grid(Section):
    name: str
    missing_rates: Annotated[list[Any], Field(min_length=1)]
    seeds: Annotated[list[Seed], Field(min_length=1)]

    @model_validator(mode="after")
    def _rates(self) -> "Grid":
        for rate in self.missing_rates:
            if type(rate) is not float:
                raise ValueError(f"missing_rates: {rate!r} must be written as a float, like 0.5 or 0.0")
            if not 0 <= rate < 1 or round(rate, 4) != rate:
                raise ValueError(f"missing_rates: {rate} must lie in [0, 1), with at most 4 decimals")
        _distinct(self, self.missing_rates, "missing_rates")
        return _distinct(self, self.seeds, "seeds")


class Params(Section):
    """The whole document, one section per stage or method."""

    profile: str
    recipe: Literal["paper", "tuned"]
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
    sample: Sample
    impute: Impute
    evaluate: Evaluate
    plot: Plot

    @model_validator(mode="after")
    def _sizes_fit(self) -> "Params":
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
        shown = min(num_images, self.sample.num_images)
        if self.plot.num_columns > shown:
            raise ValueError(f"plot.num_columns: {self.plot.num_columns} is more than the {shown} images there are")
        for name, network, size in (("ldmiss", self.ldmiss.network, LATENT_SIZE), ("ddpm", self.ddpm.network, SIZE)):
            sizes = [math.ceil(size / 2**level) for level in range(len(network.channel_multipliers))]
            if unknown := [at for at in network.attention_resolutions if at not in sizes]:
                raise ValueError(
                    f"{name}.network.attention_resolutions: {unknown} are no sizes of it; allowed: {sizes}"
                )
        return self

    @model_validator(mode="after")
    def _choices_agree(self) -> "Params":
        if self.recipe == "tuned" and self.profile != "paper":
            raise ValueError(f"recipe: tuned is for profile paper; {self.profile} has learning rates of its own")
        for name, impute in (("ldmiss", self.ldmiss.impute), ("ddpm", self.ddpm.impute)):
            if impute.guidance.t_max < self.diffusion.tau:
                raise ValueError(
                    f"{name}.impute.guidance.t_max: {impute.guidance.t_max} is below diffusion.tau, "
                    f"{self.diffusion.tau}: guidance would never act"
                )
        return self

    def off_grid(self) -> list[str]:
        """A warning for `missing_rate` or `seed` where it lies outside the grid and so has no effect."""
        named = [("missing_rate", self.missing_rate, self.grid.missing_rates), ("seed", self.seed, self.grid.seeds)]
        return [
            f"{name}={value} has no effect: grid '{self.grid.name}' runs {allowed}"
            for name, value, allowed in named
            if value not in allowed
        ]


def _one_of(section: Any, value: str, allowed: Any, key: str) -> Any:
    if value not in allowed:
        raise ValueError(f"{key}: unknown {value!r}; allowed: {', '.join(allowed)}")
    return section


def _distinct(section: Any, values: list[Any], key: str) -> Any:
    if len(set(values)) != len(values):
        raise ValueError(f"{key}: {values} names something twice")
    return section
