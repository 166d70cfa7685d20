"""How a diffusion model gets from noise to audio."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from zoo.config.base import Config, NonNegativeInt, PositiveInt
from zoo.config.samplers import Sampler


class SamplingConfig(Config):
    """How a diffusion autoencoder decodes unless it is told otherwise."""

    sampler: Sampler | None = Field(
        default=None, description="Way from noise to audio; by default that of the objective"
    )
    steps: PositiveInt | None = Field(
        default=None, description="Steps from noise to audio; by default those of the objective"
    )


@dataclass(frozen=True)
class Decoding:
    """A sampler and its number of steps."""

    sampler: Sampler
    steps: int


class DecodingConfig(Config):
    """How validation decodes: always with the same noise."""

    sampler: Sampler | None = Field(
        default=None, description="Way from noise to audio; null: the model's own"
    )
    steps: PositiveInt | None = Field(
        default=20, description="Steps from noise to audio; null: the model's own"
    )
    seed: NonNegativeInt = Field(default=0, description="Seed of the noise")
