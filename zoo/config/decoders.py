"""Decoders: latents to audio, or to what a pretransform turns into audio."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from zoo.config.base import Bool, Config, PositiveInt
from zoo.config.encoders import blocks_of_equal_length
from zoo.config.local_attention import LocalAttentionDecoderConfig
from zoo.config.taae import TAAEDecoderConfig
from zoo.errors import Problem


class OobleckDecoderParameters(Config):
    """Transposed convolutions between dilated residual units."""

    out_channels: PositiveInt = Field(default=2, description="Output channels")
    channels: PositiveInt = Field(default=128, description="Width of the last layer")
    latent_dim: PositiveInt = Field(default=32, description="Input channels")
    c_mults: tuple[PositiveInt, ...] = Field(
        default=(1, 2, 4, 8),
        min_length=1,
        description="Width of each block, in multiples of `channels`, in the encoder's order",
    )
    strides: tuple[PositiveInt, ...] = Field(
        default=(2, 4, 8, 8),
        min_length=1,
        description="Upsampling of each block, in the encoder's order",
    )
    use_snake: Bool = Field(default=False, description="Snake activations instead of ELU")
    antialias_activation: Bool | Literal["all"] = Field(
        default=False,
        description="Activations at twice the rate: true before each upsampling and the last "
        "layer, 'all' everywhere",
    )
    use_nearest_upsample: Bool = Field(
        default=False, description="Repeat samples and convolve instead of transposed convolutions"
    )
    final_tanh: Bool = Field(default=True, description="Limit the output to -1 … 1 with tanh")


class OobleckDecoderConfig(Config):
    """The Oobleck decoder."""

    type: Literal["oobleck"]
    config: OobleckDecoderParameters = Field(
        default_factory=OobleckDecoderParameters, description="Constructor parameters"
    )
    requires_grad: Bool = Field(default=True, description="Whether its weights are trained")
    soft_clip: Bool = Field(
        default=False, description="tanh on the model's output, after the pretransform"
    )

    factors_path: ClassVar[str] = "config.strides"
    latents_path: ClassVar[str] = "config.latent_dim"

    @property
    def factors(self) -> tuple[int, ...]:
        """What each block multiplies the rate by."""
        return self.config.strides

    @property
    def ratio(self) -> int:
        """Output samples per latent frame."""
        return math.prod(self.factors)

    @property
    def input_channels(self) -> int:
        return self.config.latent_dim

    @property
    def output_channels(self) -> int:
        return self.config.out_channels

    def contradictions(self) -> Iterator[Problem]:
        """What its parameters say against each other; paths relative to this part."""
        yield from blocks_of_equal_length(self.config.c_mults, self.config.strides)


DecoderConfig = Annotated[
    OobleckDecoderConfig | TAAEDecoderConfig | LocalAttentionDecoderConfig,
    Field(discriminator="type"),
]
