"""What every section is made of: strict, without defaults; kinds of numbers; checks that a type cannot say."""

from collections.abc import Collection
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

# The upper bounds are far beyond use; below them no product of sizes leaves 64 bits.
Count = Annotated[int, Field(ge=1, le=10**9)]
ChunkSize = Literal["auto"] | Count
Several = Annotated[int, Field(ge=2, le=10**9)]
Steps = Several
Layers = Annotated[int, Field(ge=1, le=100)]
Channels = Annotated[int, Field(ge=1, le=2**12)]
EvenChannels = Annotated[int, Field(ge=4, le=2**16, multiple_of=2)]
Multipliers = list[Annotated[int, Field(ge=1, le=2**6)]]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0, lt=1)]
Name = Annotated[str, Field(pattern=r"\A[a-z][a-z0-9_-]{0,63}\z")]


class Section(BaseModel):
    """A part of the document: unknown keys are refused, values are taken as they are."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


SectionT = TypeVar("SectionT", bound=Section)


def one_of(section: SectionT, value: str, allowed: Collection[str], key: str) -> SectionT:
    """The section, if the value of its `key` is allowed; raises ValueError otherwise."""
    if value not in allowed:
        raise ValueError(f"{key}: unknown {value!r}; allowed: {', '.join(allowed)}")
    return section


def distinct(section: SectionT, values: list[Any], key: str) -> SectionT:
    """The section, if the values of its `key` name nothing twice; raises ValueError otherwise."""
    if len(set(values)) != len(values):
        raise ValueError(f"{key}: {values} names something twice")
    return section


def distinct_of(section: SectionT, values: list[str], allowed: Collection[str], key: str) -> SectionT:
    """The section, if the values of its `key` are allowed and name nothing twice; raises ValueError otherwise."""
    for value in values:
        one_of(section, value, allowed, key)
    return distinct(section, values, key)
