"""Sections on the data, and on what everything is computed with: data set, missing pixels, device."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ldmiss.missingness.mechanisms import MECHANISMS
from ldmiss_pipeline.config.schema.base import Section, Seed, one_of
from ldmiss_pipeline.datasets.registry import DATASETS


class DatasetParams(Section):
    name: str
    range: Literal["symmetric", "unit"]

    @model_validator(mode="after")
    def _known(self) -> "DatasetParams":
        return one_of(self, self.name, DATASETS, "name")


class Compute(Section):
    device: Literal["auto", "cpu", "cuda"]
    dtype: Literal["auto", "float32", "bfloat16"]
    num_threads: Literal["auto"] | Annotated[int, Field(ge=1, le=1024)]
    deterministic: bool


class Missing(Section):
    mechanism: str
    fill: Literal["black", "grey", "mean"]
    """`ldmiss.core.fill.FILLS`, which would load torch (a test compares)."""
    test_rate: Annotated[float, Field(gt=0, lt=1)]
    test_seed: Seed

    @model_validator(mode="after")
    def _known(self) -> "Missing":
        return one_of(self, self.mechanism, MECHANISMS, "mechanism")
