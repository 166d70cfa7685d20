"""Encoders: audio, or what a pretransform makes of it, to latents."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from zoo.config.base import Bool, Config, PositiveInt
from zoo.config.local_attention import LocalAttentionEncoderConfig
from zoo.config.taae import TAAEEncoderConfig
from zoo.errors import Problem


class OobleckEncoderParameters(Config):
    """Strided convolutions between dilated residual units."""

    in_channels: PositiveInt = Field(default=2, description="Input channels")
    channels: PositiveInt = Field(default=128, description="Width of the first layer")
    latent_dim: PositiveInt = Field(
        default=32,
        description="Output channels; twice the model's latent_dim before a VAE bottleneck",
    )
    c_mults: tuple[PositiveInt, ...] = Field(
        default=(1, 2, 4, 8),
        min_length=1,
        description="Width of each block, in multiples of `channels`",
    )
    strides: tuple[PositiveInt, ...] = Field(
        default=(2, 4, 8, 8), min_length=1, description="Downsampling of each block"
    )
    use_snake: Bool = Field(default=False, description="Snake activations instead of ELU")
    antialias_activation: Bool | Literal["all"] = Field(
        default=False,
        description="Activations at twice the rate: true in the last one only, 'all' everywhere",
    )


class OobleckEncoderConfig(Config):
    """The Oobleck encoder."""

    type: Literal["oobleck"]
    config: OobleckEncoderParameters = Field(
        default_factory=OobleckEncoderParameters, description="Constructor parameters"
    )
    requires_grad: Bool = Field(default=True, description="Whether its weights are trained")

    factors_path: ClassVar[str] = "config.strides"
    latents_path: ClassVar[str] = "config.latent_dim"

    @property
    def factors(self) -> tuple[int, ...]:
        """What each block divides the rate by."""
        return self.config.strides

    @property
    def ratio(self) -> int:
        """Input samples per latent frame."""
        return math.prod(self.factors)

    @property
    def input_channels(self) -> int:
        return self.config.in_channels

    @property
    def output_channels(self) -> int:
        return self.config.latent_dim

    def contradictions(self) -> Iterator[Problem]:
        """What its parameters say against each other; paths relative to this part."""
        yield from blocks_of_equal_length(self.config.c_mults, self.config.strides)


EncoderConfig = Annotated[
    OobleckEncoderConfig | TAAEEncoderConfig | LocalAttentionEncoderConfig,
    Field(discriminator="type"),
]


def blocks_of_equal_length(c_mults: tuple[int, ...], strides: tuple[int, ...]) -> Iterator[Problem]:
    """One problem unless there is one width for each stride."""
    if len(c_mults) != len(strides):
        yield Problem(
            "config.strides",
            f"{len(strides)} strides, but {len(c_mults)} c_mults: each block needs one of each",
        )
