"""Sections on what is trained, made and measured, and for which cells."""

import math
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ldmiss_pipeline.config.registry import GENERATORS, METHODS, TRAINED_BY_TRAIN
from ldmiss_pipeline.config.schema.base import ChunkSize, Count, Name, Section, Seed, Several, distinct, distinct_of


class TrainSeeds(Section):
    vae: list[Seed]
    ldmiss: list[Seed]
    posterior: list[Seed]
    ddpm: list[Seed]
    diffputer: list[Seed]


class Train(Section):
    seeds: TrainSeeds
    methods: list[str]

    @model_validator(mode="after")
    def _known(self) -> "Train":
        return distinct_of(self, self.methods, TRAINED_BY_TRAIN, "methods")


class Sample(Section):
    methods: Annotated[list[str], Field(min_length=1)]
    num_images: Several
    chunk_size: ChunkSize

    @model_validator(mode="after")
    def _known(self) -> "Sample":
        return distinct_of(self, self.methods, GENERATORS, "methods")


class Impute(Section):
    methods: Annotated[list[str], Field(min_length=1)]
    num_images: Literal["all"] | Several
    num_draws: Count
    num_draw_images: Count
    chunk_size: ChunkSize

    @model_validator(mode="after")
    def _known(self) -> "Impute":
        return distinct_of(self, self.methods, METHODS, "methods")


class Complete(Section):
    methods: list[str]
    num_draws: Count
    chunk_size: ChunkSize

    @model_validator(mode="after")
    def _known(self) -> "Complete":
        return distinct_of(self, self.methods, METHODS, "methods")


class Evaluate(Section):
    fid_layer: Literal["penultimate", "pre_relu", "logits"]


class Plot(Section):
    num_columns: Annotated[int, Field(ge=1, le=20)]


class Grid(Section):
    name: Name
    missing_rates: Annotated[list[Any], Field(min_length=1)]
    seeds: Annotated[list[Seed], Field(min_length=1)]

    @model_validator(mode="after")
    def _rates(self) -> "Grid":
        for rate in self.missing_rates:
            if type(rate) is not float:
                raise ValueError(f"missing_rates: {rate!r} must be written as a float, like 0.5 or 0.0")
            if not 0 <= rate < 1 or round(rate, 4) != rate or math.copysign(1, rate) < 0:
                raise ValueError(f"missing_rates: {rate} must lie in [0, 1), with at most 4 decimals")
        distinct(self, self.missing_rates, "missing_rates")
        return distinct(self, self.seeds, "seeds")
