"""Decoders: latents to audio, or to what a pretransform turns into audio."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from zoo.config.base import Bool, Config, Float, Fraction, PositiveInt
from zoo.config.local_attention import LocalAttentionDecoderConfig
from zoo.config.network import DecoderNetworkConfig, blocks_of_equal_length
from zoo.config.seanet import (
    ACTIVATION_PARAMETERS,
    Activation,
    SeanetParameters,
    unknown_parameters,
)
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


class OobleckDecoderConfig(DecoderNetworkConfig):
    """The Oobleck decoder."""

    audio_key: ClassVar[str] = "out_channels"

    type: Literal["oobleck"]
    config: OobleckDecoderParameters = Field(
        default_factory=OobleckDecoderParameters, description="Constructor parameters"
    )

    def contradictions(self) -> Iterator[Problem]:
        yield from blocks_of_equal_length(c_mults=self.config.c_mults, strides=self.config.strides)


class DacDecoderParameters(Config):
    """Transposed convolutions between dilated residual units, with Snake activations and tanh."""

    latent_dim: PositiveInt = Field(description="Input channels")
    channels: PositiveInt = Field(
        description="Width of the first layer; it halves, rounded down, with each rate"
    )
    rates: tuple[PositiveInt, ...] = Field(
        min_length=1,
        description="Upsampling of each block, from latents to audio: the encoder's strides "
        "reversed",
    )
    out_channels: PositiveInt = Field(default=1, description="Output channels")


class DacDecoderConfig(DecoderNetworkConfig):
    """The decoder of the Descript Audio Codec."""

    ratio_key: ClassVar[str] = "rates"
    audio_key: ClassVar[str] = "out_channels"

    type: Literal["dac"]
    config: DacDecoderParameters = Field(description="Constructor parameters")

    def contradictions(self) -> Iterator[Problem]:
        least = 2 ** len(self.config.rates)
        if self.config.channels < least:
            yield Problem(
                "config.channels",
                f"{self.config.channels}, but must be at least {least}: it halves with each of "
                f"{len(self.config.rates)} rates",
            )


class SeanetDecoderParameters(SeanetParameters):
    """An LSTM, then transposed convolutions between residual blocks."""

    ratios: tuple[PositiveInt, ...] = Field(
        default=(8, 5, 4, 2),
        min_length=1,
        description="Upsampling of each block, from latents to audio",
    )
    final_activation: Activation | None = Field(
        default=None, description="Class of torch.nn behind the last convolution"
    )
    final_activation_params: dict[str, Float] | None = Field(
        default=None, description="Its parameters"
    )
    trim_right_ratio: Fraction = Field(
        default=1.0,
        description="Share of the surplus of transposed convolutions that is cut at the right; "
        "other than 1 only if causal",
    )

    def contradictions(self) -> Iterator[Problem]:
        yield from super().contradictions()
        if self.trim_right_ratio != 1 and not self.causal:
            yield Problem(
                "trim_right_ratio", f"{self.trim_right_ratio}, but must be 1 unless causal is true"
            )
        if self.final_activation is not None:
            yield from unknown_parameters(
                "final_activation_params",
                self.final_activation,
                self.final_activation_params or {},
                ACTIVATION_PARAMETERS,
            )


class SeanetDecoderConfig(DecoderNetworkConfig):
    """The SEANet decoder of EnCodec."""

    ratio_key: ClassVar[str] = "ratios"
    latent_key: ClassVar[str] = "dimension"
    audio_key: ClassVar[str] = "channels"

    type: Literal["seanet"]
    config: SeanetDecoderParameters = Field(
        default_factory=SeanetDecoderParameters, description="Constructor parameters"
    )

    def contradictions(self) -> Iterator[Problem]:
        for problem in self.config.contradictions():
            yield Problem(f"config.{problem.path}", problem.message)


DecoderConfig = Annotated[
    OobleckDecoderConfig
    | DacDecoderConfig
    | SeanetDecoderConfig
    | TAAEDecoderConfig
    | LocalAttentionDecoderConfig,
    Field(discriminator="type"),
]
