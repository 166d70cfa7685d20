"""Encoder and decoder of the transformer autoencoder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from zoo.config.base import Bool, Config, NonNegativeInt, PositiveInt
from zoo.config.network import DecoderNetworkConfig, EncoderNetworkConfig, blocks_of_equal_length
from zoo.errors import Problem

_HEAD = 128

Reach = Annotated[int, Field(strict=True, ge=-1)]


class _Parameters(Config):
    channels: PositiveInt = Field(
        default=128, description="Unit of width: a block is `channels` x its c_mult wide"
    )
    c_mults: tuple[PositiveInt, ...] = Field(
        default=(1, 2, 4, 8),
        min_length=1,
        description="Width of each block, in multiples of `channels`, in the encoder's order; "
        "above 128 channels a multiple of 128",
    )
    strides: tuple[PositiveInt, ...] = Field(
        default=(2, 4, 8, 8),
        min_length=1,
        description="Change of rate of each block, in the encoder's order",
    )
    transformer_depths: tuple[NonNegativeInt, ...] = Field(
        default=(3, 3, 3, 3),
        min_length=1,
        description="Transformer layers of each block, in the encoder's order",
    )
    use_snake: Bool = Field(
        default=False, description="Snake before each change of rate, and instead of ELU"
    )
    sliding_window: tuple[Reach, Reach] | None = Field(
        default=(63, 64),
        description="Frames that a frame sees before and after itself, at each block's own rate; "
        "-1 for all on that side, null for all",
    )
    checkpointing: Bool = Field(
        default=False, description="Recompute activations in the backward pass to save memory"
    )
    conformer: Bool = Field(
        default=False, description="A depthwise convolution in each transformer layer"
    )
    layer_scale: Bool = Field(
        default=True,
        description="A small gain for each branch of a layer, instead of weights of zero at first",
    )
    use_dilated_conv: Bool = Field(
        default=False, description="Three residual units at the higher rate of each block"
    )

    def contradictions(self) -> Iterator[Problem]:
        """What they say against each other."""
        yield from blocks_of_equal_length(
            c_mults=self.c_mults, strides=self.strides, transformer_depths=self.transformer_depths
        )
        for mult, depth in zip(self.c_mults, self.transformer_depths, strict=False):
            width = mult * self.channels
            if depth and width > _HEAD and width % _HEAD:
                yield Problem(
                    "config.c_mults",
                    f"{mult} x {self.channels} channels = {width}, but above {_HEAD} the width of "
                    f"a transformer must be a multiple of {_HEAD}, the width of a head",
                )


class TAAEEncoderParameters(_Parameters):
    """Strided convolutions, each before transformers of windowed attention."""

    in_channels: PositiveInt = Field(default=2, description="Input channels")
    latent_dim: PositiveInt = Field(
        default=32,
        description="Output channels; twice the model's latent_dim before a VAE bottleneck",
    )


class TAAEDecoderParameters(_Parameters):
    """Transposed convolutions, each behind transformers of windowed attention."""

    out_channels: PositiveInt = Field(default=2, description="Output channels")
    latent_dim: PositiveInt = Field(default=32, description="Input channels")


class TAAEEncoderConfig(EncoderNetworkConfig):
    """The encoder of the transformer autoencoder."""

    audio_key: ClassVar[str] = "in_channels"

    type: Literal["taae"]
    config: TAAEEncoderParameters = Field(
        default_factory=TAAEEncoderParameters, description="Constructor parameters"
    )

    def contradictions(self) -> Iterator[Problem]:
        yield from self.config.contradictions()


class TAAEDecoderConfig(DecoderNetworkConfig):
    """The decoder of the transformer autoencoder."""

    audio_key: ClassVar[str] = "out_channels"

    type: Literal["taae"]
    config: TAAEDecoderParameters = Field(
        default_factory=TAAEDecoderParameters, description="Constructor parameters"
    )

    def contradictions(self) -> Iterator[Problem]:
        yield from self.config.contradictions()
