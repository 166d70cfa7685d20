"""Encoders: audio, or what a pretransform makes of it, to latents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from zoo.config.base import Bool, Config, PositiveInt
from zoo.config.local_attention import LocalAttentionEncoderConfig
from zoo.config.network import EncoderNetworkConfig, blocks_of_equal_length
from zoo.config.seanet import SeanetParameters
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


class OobleckEncoderConfig(EncoderNetworkConfig):
    """The Oobleck encoder."""

    audio_key: ClassVar[str] = "in_channels"

    type: Literal["oobleck"]
    config: OobleckEncoderParameters = Field(
        default_factory=OobleckEncoderParameters, description="Constructor parameters"
    )

    def contradictions(self) -> Iterator[Problem]:
        yield from blocks_of_equal_length(c_mults=self.config.c_mults, strides=self.config.strides)


class DacEncoderParameters(Config):
    """Strided convolutions between dilated residual units, with Snake activations."""

    d_model: PositiveInt = Field(
        description="Width of the first layer; it doubles with each stride"
    )
    strides: tuple[PositiveInt, ...] = Field(min_length=1, description="Downsampling of each block")
    latent_dim: PositiveInt | None = Field(
        default=None,
        description="Output channels, twice the model's latent_dim before a VAE bottleneck; "
        "by default the width of the last layer, without a projection",
    )
    in_channels: PositiveInt = Field(default=1, description="Input channels")


class DacEncoderConfig(EncoderNetworkConfig):
    """The encoder of the Descript Audio Codec."""

    audio_key: ClassVar[str] = "in_channels"

    type: Literal["dac"]
    config: DacEncoderParameters = Field(description="Constructor parameters")

    @property
    def width_words(self) -> str:
        return "" if self.config.latent_dim else " = d_model x 2 for each of the strides"

    @property
    def output_channels(self) -> int:
        return self.config.latent_dim or self.config.d_model * 2 ** len(self.config.strides)


class SeanetEncoderParameters(SeanetParameters):
    """Strided convolutions between residual blocks, then an LSTM."""

    ratios: tuple[PositiveInt, ...] = Field(
        default=(8, 5, 4, 2),
        min_length=1,
        description="Downsampling of each block, from audio to latents",
    )


class SeanetEncoderConfig(EncoderNetworkConfig):
    """The SEANet encoder of EnCodec."""

    ratio_key: ClassVar[str] = "ratios"
    latent_key: ClassVar[str] = "dimension"
    audio_key: ClassVar[str] = "channels"

    type: Literal["seanet"]
    config: SeanetEncoderParameters = Field(
        default_factory=SeanetEncoderParameters, description="Constructor parameters"
    )

    def contradictions(self) -> Iterator[Problem]:
        for problem in self.config.contradictions():
            yield Problem(f"config.{problem.path}", problem.message)


EncoderConfig = Annotated[
    OobleckEncoderConfig
    | DacEncoderConfig
    | SeanetEncoderConfig
    | TAAEEncoderConfig
    | LocalAttentionEncoderConfig,
    Field(discriminator="type"),
]
