"""Sections of what is trained, each with its ways of sampling and imputing: the classifier, the VAE, the methods."""

import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from ldmiss_pipeline.config.schema.base import (
    ChunkSize,
    Count,
    NonNegative,
    Positive,
    Probability,
    Section,
    Seed,
    Steps,
    one_of,
)
from ldmiss_pipeline.config.schema.networks import (
    AutoencoderNetwork,
    DiffPuterNetwork,
    PatchNetwork,
    Train,
    UNetNetwork,
)
from ldmiss_pipeline.datasets.registry import DATASETS


class Classifier(Section):
    """`weights` has to lie in assets/, the folder that `dvc.yaml` names as the stage's dependency."""

    weights: str | None
    without: str | None
    seed: Seed
    dropout: Probability
    train: Train

    @model_validator(mode="after")
    def _tracked(self) -> "Classifier":
        if self.weights is not None and not re.fullmatch(r"assets/[a-zA-Z0-9_-]{1,100}\.safetensors", self.weights):
            raise ValueError(
                f"weights: {self.weights!r} must be null or a file in assets/, like assets/name.safetensors"
            )
        return self if self.without is None else one_of(self, self.without, DATASETS, "without")


class NoSettings(Section):
    pass


class VAE(Section):
    encoder_input: Literal["faithful", "robust"]
    network: AutoencoderNetwork
    kl_weight: NonNegative
    train: Train
    impute: NoSettings


class Latents(Section):
    source: Literal["mean", "sample"]
    scale: Literal["global", "per_channel", "none"]


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
    normalizer: Literal["per_sample", "batch"]


Sampler = Literal["euler_maruyama", "heun", "ddim", "dpm_solver_pp", "ancestral", "sde_dpm_solver_pp"]
"""`ldmiss.sampling.samplers.SAMPLERS`, which would load torch (a test compares)."""


class Generation(Section):
    sampler: Sampler
    num_steps: Steps


class Guidance(Section):
    sampler: Sampler
    num_steps: Steps
    weight: NonNegative
    t_max: Annotated[float, Field(gt=0, le=1)]
    backprop_score: bool


class Resampling(Section):
    num_steps: Steps
    num_resamples: Count


class MatchedSteps(Generation):
    """Of moment matching: what every use of it sets."""

    num_iterations: Count


class PosteriorSampling(MatchedSteps):
    t_start: Annotated[float, Field(gt=0, le=1)]


class MomentMatching(PosteriorSampling):
    noise_sd: Positive


class LDMissImpute(Section):
    guidance: Guidance


class LDMiss(Section):
    network: UNetNetwork
    loss: Loss
    train: Train
    sample: Generation
    impute: LDMissImpute


class Calibrate(Section):
    num_images: Count
    min_kept: Probability
    chunk_size: ChunkSize
    sampling: PosteriorSampling


class Posterior(Section):
    calibrate: Calibrate
    impute: NoSettings


class DDPMImpute(Section):
    guidance: Guidance
    replacement: Resampling
    moment_matching: MomentMatching | None


class DDPM(Section):
    network: UNetNetwork
    loss: ObservedLoss
    train: Train
    sample: Generation
    impute: DDPMImpute


class NumSteps(Section):
    num_steps: Steps


class EStep(Section):
    num_trials: Count
    num_steps: Steps
    num_resamples: Count
    chunk_size: ChunkSize


class EM(Section):
    num_iterations: Count
    warm_start: bool
    train_first: Train
    train_next: Train
    e_step: EStep


class DiffPuter(Section):
    preset: Literal["quick", "lite", "standard", "official"]
    network: DiffPuterNetwork
    normalize: Literal["per_feature", "global"]
    std_floor: Positive
    em: EM
    sample: NumSteps
    impute: Resampling


class RegressionTrain(Section):
    network: PatchNetwork
    recipe: Train
    min_kept: Probability


class Regression(Section):
    train: RegressionTrain
    impute: NoSettings


class ConditionalTrain(RegressionTrain):
    diffusion: Diffusion


class Conditional(Section):
    train: ConditionalTrain
    impute: Generation


class MIWAETrain(Section):
    network: AutoencoderNetwork
    recipe: Train
    num_samples: Count


class NumSamples(Section):
    num_samples: Count


class MIWAE(Section):
    train: MIWAETrain
    impute: NumSamples


class PriorSampling(MatchedSteps):
    noise_sd: Positive


class PriorEStep(PriorSampling):
    chunk_size: Count


class EMDiffusionTrain(Section):
    network: PatchNetwork
    num_iterations: Count
    first: Train
    later: Train
    e_step: PriorEStep
    diffusion: Diffusion


class EMDiffusion(Section):
    train: EMDiffusionTrain
    impute: PriorSampling


class BaselinesTrain(Section):
    """`ridge` has to keep a covariance regular in float64 (`ldmiss.baselines.gaussian.least_ridge`). Entries of that of
    784 pixels in [0, 1] are at most 1 in size, so its positive eigenvalues sum to at most (784^1.5 + 196) / 2, and
    784 * 11,074 * 2.2e-16 = 1.9e-9. Of other images the fit itself may ask for more."""

    ridge: Annotated[float, Field(ge=1e-8, allow_inf_nan=False)]


class Baselines(Section):
    train: BaselinesTrain
    impute: NoSettings
