"""Encoder and decoder of type `local_attn`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from zoo.config.base import Bool, Config, NonNegativeInt, PositiveFloat, PositiveInt
from zoo.config.network import DecoderNetworkConfig, EncoderNetworkConfig, blocks_of_equal_length
from zoo.errors import Problem


class _Parameters(Config):
    embed_dims: tuple[PositiveInt, ...]
    heads: tuple[PositiveInt, ...] = Field(
        default=(12, 12, 12, 12),
        min_length=1,
        description="Attention heads of each block, a divisor of its width",
    )
    depths: tuple[NonNegativeInt, ...] = Field(
        default=(3, 3, 3, 3), min_length=1, description="Transformer layers of each block"
    )
    ratios: tuple[PositiveInt, ...] = Field(
        default=(2, 2, 2, 2), min_length=1, description="Change of rate of each block"
    )
    local_attn_window_size: PositiveInt = Field(
        default=64,
        description="Frames that a frame sees at each block's own rate, itself among them",
    )
    causal: Bool = Field(
        default=False, description="No frame of a block sees those after it in that block"
    )
    ff_mult: PositiveFloat = Field(
        default=2.0, description="Width of feed-forward networks, in multiples of the block's"
    )

    def contradictions(self) -> Iterator[Problem]:
        """What they say against each other."""
        yield from blocks_of_equal_length(
            embed_dims=self.embed_dims, heads=self.heads, depths=self.depths, ratios=self.ratios
        )
        for width, heads in zip(self.embed_dims, self.heads, strict=False):
            if width % heads:
                yield Problem("config.heads", f"{heads} does not divide the block's width {width}")
        if self.ff_mult * min(self.embed_dims) < 1:
            yield Problem(
                "config.ff_mult",
                f"{self.ff_mult} x {min(self.embed_dims)} channels leaves no width",
            )


class LocalAttentionEncoderParameters(_Parameters):
    """Transformers of windowed attention that each join neighbouring frames into one."""

    in_channels: PositiveInt = Field(description="Input channels")
    out_channels: PositiveInt = Field(
        description="Output channels; twice the model's latent_dim before a VAE bottleneck"
    )
    embed_dims: tuple[PositiveInt, ...] = Field(
        default=(96, 192, 384, 768), min_length=1, description="Width of each block"
    )


class LocalAttentionDecoderParameters(_Parameters):
    """Transformers of windowed attention that each part a frame into several, first to last."""

    in_channels: PositiveInt = Field(description="Input channels")
    out_channels: PositiveInt = Field(description="Output channels")
    embed_dims: tuple[PositiveInt, ...] = Field(
        default=(768, 384, 192, 96), min_length=1, description="Width of each block"
    )


class LocalAttentionEncoderConfig(EncoderNetworkConfig):
    """The encoder that joins frames between transformers."""

    ratio_key: ClassVar[str] = "ratios"
    latent_key: ClassVar[str] = "out_channels"
    audio_key: ClassVar[str] = "in_channels"

    type: Literal["local_attn"]
    config: LocalAttentionEncoderParameters = Field(description="Constructor parameters")

    def contradictions(self) -> Iterator[Problem]:
        yield from self.config.contradictions()


class LocalAttentionDecoderConfig(DecoderNetworkConfig):
    """The decoder that parts frames between transformers."""

    ratio_key: ClassVar[str] = "ratios"
    latent_key: ClassVar[str] = "in_channels"
    audio_key: ClassVar[str] = "out_channels"

    type: Literal["local_attn"]
    config: LocalAttentionDecoderParameters = Field(description="Constructor parameters")

    def contradictions(self) -> Iterator[Problem]:
        yield from self.config.contradictions()
