"""Sections on networks and how they are trained."""

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from ldmiss_pipeline.config.schema.base import (
    Channels,
    Count,
    EvenChannels,
    Layers,
    Multipliers,
    Positive,
    Probability,
    Section,
)


class Train(Section):
    epochs: Count
    batch_size: Count
    lr: Positive
    lr_schedule: Literal["constant", "cosine", "warmup_cosine", "plateau"]
    ema_decay: Probability | None
    grad_clip: Positive | None
    early_stop: Count | None
    min_steps: Count | None

    @model_validator(mode="after")
    def _one_choice_of_weights(self) -> "Train":
        if self.early_stop is not None and self.ema_decay is not None:
            raise ValueError("early_stop: keeps the best weights, ema_decay their average; one of them must be null")
        return self


class AutoencoderNetwork(Section):
    base_channels: Channels
    channel_multipliers: Annotated[Multipliers, Field(min_length=3, max_length=3)]
    num_res_blocks: Layers
    latent_channels: Channels
    num_groups: Count
    mid_attention: bool


class UNetNetwork(Section):
    base_channels: EvenChannels
    channel_multipliers: Annotated[Multipliers, Field(min_length=1, max_length=5)]
    num_res_blocks: Layers
    attention_levels: list[Annotated[int, Field(ge=0)]]
    mid_attention: bool
    dropout: Probability
    num_groups: Count
    resampling: Literal["biggan", "conv"]

    @model_validator(mode="after")
    def _levels_exist(self) -> "UNetNetwork":
        num_levels = len(self.channel_multipliers)
        if absent := [level for level in self.attention_levels if level >= num_levels]:
            raise ValueError(f"attention_levels: {absent} are no levels; allowed: 0 to {num_levels - 1}")
        return self

    @model_validator(mode="after")
    def _groups_keep_time_and_mean(self) -> "UNetNetwork":
        if math.gcd(self.num_groups, self.base_channels) == self.base_channels:
            raise ValueError(
                f"num_groups: {self.num_groups} leaves one channel per group at base_channels {self.base_channels}; "
                "such a normalisation removes the time and the mean of the input; at most half as many are allowed"
            )
        return self


class PatchNetwork(UNetNetwork):
    patch_size: Annotated[int, Field(ge=1, le=8)]


class DiffPuterNetwork(Section):
    hidden: EvenChannels
