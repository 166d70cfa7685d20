"""How a diffusion model gets from noise to audio."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from zoo.config.base import Config, NonNegativeInt, PositiveInt


class Sampler(StrEnum):
    """Ways from noise to audio; see `zoo.models.diffusion.samplers`."""

    DDIM = "ddim"
    DPMPP_2M = "dpmpp_2m"
    EULER = "euler"
    HEUN = "heun"
    PINGPONG = "pingpong"


class SamplingConfig(Config):
    """How a diffusion autoencoder decodes unless it is told otherwise."""

    sampler: Sampler = Field(default=Sampler.DDIM, description="Way from noise to audio")
    steps: PositiveInt = Field(default=100, description="Steps from noise to audio")


class DecodingConfig(Config):
    """How validation decodes: always with the same noise."""

    sampler: Sampler | None = Field(
        default=None, description="Way from noise to audio; null: the model's own"
    )
    steps: PositiveInt | None = Field(
        default=20, description="Steps from noise to audio; null: the model's own"
    )
    seed: NonNegativeInt = Field(default=0, description="Seed of the noise")
