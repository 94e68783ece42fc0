"""What every section is made of: strict, without defaults; kinds of numbers; checks that a type cannot say."""

from collections.abc import Collection
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1)]
Steps = Annotated[int, Field(ge=2)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0, lt=1)]


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
