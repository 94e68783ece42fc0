"""Sections on the data, and on what everything is computed with: data set, missing pixels, device."""

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from ldmiss.missingness.mechanisms import MECHANISMS
from ldmiss_pipeline.config.schema.base import Count, Section, Seed, one_of
from ldmiss_pipeline.datasets.registry import DATASETS


class DatasetParams(Section):
    """`path` is a dependency of the stage `download`: a person's own images, or the module that obtains a named set."""

    name: str
    path: Annotated[str, Field(min_length=1)]
    range: Literal["symmetric", "unit"]
    bounds: Annotated[list[float], Field(min_length=2, max_length=2)] | None
    missing_value: float | None
    mask: Literal["observed", "missing"] | None
    num_held_out: Count

    @model_validator(mode="after")
    def _known(self) -> "DatasetParams":
        one_of(self, self.name, DATASETS, "name")
        if self.name != "own" and any(value is not None for value in (self.bounds, self.missing_value, self.mask)):
            raise ValueError(f"bounds, missing_value and mask are for dataset=own; for {self.name} they must be null")
        if self.path == "???":
            raise ValueError("path: missing; give the file or folder of your images: -S dataset.path=images.npz")
        return self

    @model_validator(mode="after")
    def _ordered(self) -> "DatasetParams":
        if self.bounds is not None and not -math.inf < self.bounds[0] < self.bounds[1] < math.inf:
            raise ValueError(f"bounds: {self.bounds}; allowed: two finite numbers, the smaller one first")
        return self


class Compute(Section):
    device: Literal["auto", "cpu", "cuda"]
    dtype: Literal["auto", "float32", "bfloat16"]
    num_threads: Literal["auto"] | Annotated[int, Field(ge=1, le=1024)]
    deterministic: bool


class Logistic(Section):
    slope: Annotated[float, Field(gt=0, le=1000)]


class Block(Section):
    num_blocks: Annotated[int, Field(ge=1, le=100)]


class Missing(Section):
    mechanism: str
    test_mechanism: str
    mar: Logistic
    mnar: Logistic
    block: Block
    fill: Literal["black", "grey", "mean"]
    """`ldmiss.core.fill.FILLS`, which would load torch (a test compares)."""
    test_rate: Annotated[float, Field(gt=0, lt=1)]
    test_seed: Seed

    @model_validator(mode="after")
    def _known(self) -> "Missing":
        one_of(self, self.test_mechanism, MECHANISMS, "test_mechanism")
        return one_of(self, self.mechanism, MECHANISMS, "mechanism")
