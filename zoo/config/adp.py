"""The U-Net of audio-diffusion-pytorch, type `adp_1d`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, ClassVar, Literal, Self

from pydantic import Field

from zoo.config.adp_stft import STFTParameters
from zoo.config.base import Bool, NonNegativeInt, PositiveInt
from zoo.config.diffusion_network import DiffusionNetworkConfig, Objective
from zoo.errors import Problem

_TRANSFORMER_GROUPS = 32


class ADP1DParameters(STFTParameters):
    """Residual convolutions at ever lower rates and back, with transformers where wanted."""

    in_channels: PositiveInt | None = Field(
        default=None,
        description="Channels of the audio, or of what a pretransform makes of it; theirs by "
        "default",
    )
    channels: PositiveInt = Field(description="Unit of width; even with use_context_time")
    multipliers: tuple[PositiveInt, ...] = Field(
        min_length=1,
        description="Width outside the first block, then inside each, in multiples of `channels`",
    )
    factors: tuple[PositiveInt, ...] = Field(description="Change of rate of each block")
    num_blocks: tuple[NonNegativeInt, ...] = Field(description="Residual blocks of each block")
    attentions: tuple[NonNegativeInt, ...] = Field(
        min_length=1,
        description="Transformer layers of each block; the last entry is that of the middle, even "
        "where there is none but those of the blocks",
    )
    patch_size: PositiveInt = Field(
        default=1,
        description="Neighbouring samples joined into one frame, a divisor of the first width",
    )
    resnet_groups: PositiveInt = Field(
        default=8, description="Groups of the norms, a divisor of the width of each block"
    )
    use_context_time: Bool = Field(
        default=True, description="Whether the network learns the diffusion time"
    )
    kernel_multiplier_downsample: NonNegativeInt = Field(
        default=2, description="Length of strided kernels in multiples of the factor, even"
    )
    use_nearest_upsample: Bool = Field(
        default=False, description="Repeat and convolve instead of transposed convolutions"
    )
    use_skip_scale: Bool = Field(
        default=True, description="Multiply what skips the lower rates by the root of 1/2"
    )
    out_channels: PositiveInt | None = Field(
        default=None, description="Channels of the prediction; in_channels by default"
    )
    context_features: PositiveInt | None = Field(
        default=None, description="Width of a global condition, which an autoencoder doesn't have"
    )
    context_features_multiplier: PositiveInt = Field(
        default=4, description="Width of what the time becomes, in multiples of `channels`"
    )
    context_channels: tuple[NonNegativeInt, ...] | None = Field(
        default=None,
        description="Channels of the condition joined to the input, then at the rate of each "
        "block, 0 for none; those of the latents at the input by default",
    )
    context_embedding_features: NonNegativeInt | None = Field(
        default=None,
        description="Width of an embedding for cross attention, which an autoencoder doesn't have",
    )
    attention_heads: PositiveInt | None = Field(
        default=None, description="Heads of attention; by default as many as fit"
    )
    attention_features: PositiveInt | None = Field(
        default=None, description="Channels of a head; by default the width over the heads"
    )
    attention_multiplier: PositiveInt | None = Field(
        default=None,
        description="Width of the transformers' feed-forward networks, in multiples of the "
        "block's; required with any attentions",
    )
    diffusion_objective: Objective | None = Field(
        default=None, description="What the network predicts, and how noise is added; v by default"
    )

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels outside the first block, then inside each."""
        return tuple(self.channels * multiplier for multiplier in self.multipliers)

    def options(self) -> dict[str, Any]:
        """Arguments of the network."""
        return self.model_dump(exclude={"diffusion_objective", "stft_length"})

    def contradictions(self, condition: int) -> Iterator[Problem]:
        """What they say against each other, and against a condition of so many channels."""
        yield from self._lengths()
        yield from self._widths()
        yield from self._attention()
        yield from self._condition(condition)
        yield from self.stft_contradictions()

    def _lengths(self) -> Iterator[Problem]:
        blocks = len(self.multipliers) - 1
        for key in ("factors", "num_blocks"):
            count = len(getattr(self, key))
            if count != blocks:
                yield Problem(
                    f"config.{key}",
                    f"{count} {key}, but {blocks + 1} multipliers: must be one less, {blocks}, "
                    "since the first multiplier is the width outside the blocks",
                )
        if len(self.attentions) < blocks:
            yield Problem(
                "config.attentions",
                f"{len(self.attentions)} attentions, but must be at least {blocks}: each block "
                "needs one, and the middle takes the last",
            )
        multiplier = self.kernel_multiplier_downsample
        if (multiplier % 2 and self.factors) or (
            multiplier == 0 and max(self.factors, default=1) > 1
        ):
            yield Problem(
                "config.kernel_multiplier_downsample",
                f"{multiplier}, but must be even, and 0 only with factors of 1: other kernels "
                "don't divide the length by the factor",
            )

    def _widths(self) -> Iterator[Problem]:
        if self.use_context_time and self.channels % 2:
            yield Problem(
                "config.channels",
                f"{self.channels}, but must be even with use_context_time: the time becomes as "
                "many sines as cosines",
            )
        if self.widths[0] % self.patch_size:
            yield Problem(
                "config.patch_size",
                f"{self.patch_size}, but must divide {self.widths[0]}, the width of the first "
                f"multiplier ({self.multipliers[0]} x {self.channels} channels)",
            )
        blocks = zip(self.widths[1:], self.num_blocks, self.attentions, strict=False)
        normed = [width for width, layers, attentions in blocks if layers or attentions]
        for width in dict.fromkeys((*normed, self.widths[-1])):
            if width % self.resnet_groups:
                yield Problem(
                    "config.resnet_groups",
                    f"{self.resnet_groups}, but must divide {width}, the width of a block "
                    f"({width // self.channels} x {self.channels} channels), for its norms",
                )

    def _attention(self) -> Iterator[Problem]:
        blocks = list(zip(self.widths[1:], self.attentions, strict=False))
        blocks.append((self.widths[-1], self.attentions[-1]))
        attending = dict.fromkeys(width for width, layers in blocks if layers)
        if not attending:
            return
        heads, features = self.attention_heads, self.attention_features
        why = "required, but missing: attentions asks for transformers"
        if heads is None and features is None:
            yield Problem("config.attention_heads", f"{why}; or give attention_features")
        if self.attention_multiplier is None:
            yield Problem("config.attention_multiplier", why)
        for width in attending:
            if width % _TRANSFORMER_GROUPS:
                yield Problem(
                    "config.attentions",
                    f"transformers in a block {width} wide ({width // self.channels} x "
                    f"{self.channels} channels), but must be 0 there, or the width a multiple of "
                    f"{_TRANSFORMER_GROUPS}, the groups of a transformer's norm",
                )
            if heads is None and features is not None and features > width:
                yield Problem(
                    "config.attention_features",
                    f"{features}, but must be at most {width}, the width of a block with "
                    "attentions, or attention_heads be given: no head fits",
                )
            if features is None and heads is not None and heads > width:
                yield Problem(
                    "config.attention_heads",
                    f"{heads}, but must be at most {width}, the width of a block with attentions, "
                    "or attention_features be given: nothing is left for a head",
                )
        if self.context_embedding_features:
            yield Problem(
                "config.context_embedding_features",
                f"{self.context_embedding_features}, but must be absent or 0: a diffusion "
                "autoencoder has no embedding for cross attention",
            )

    def _condition(self, condition: int) -> Iterator[Problem]:
        if self.context_features is not None:
            yield Problem(
                "config.context_features",
                f"{self.context_features}, but must be absent: a diffusion autoencoder has no "
                "global condition",
            )
        given = list(self.context_channels or ())
        levels = {level: width for level, width in enumerate(given[: len(self.widths)]) if width}
        if list(levels.values()) != [condition]:
            yield Problem(
                "config.context_channels",
                f"{given}, but must be [{condition}]: the network is given one condition, with "
                f"{condition} channels, which it must not miss",
            )
            return
        (level,) = levels
        if level == 0:
            return
        rate = self.patch_size * math.prod(self.factors[:level])
        if rate != 1 or self.use_stft:
            yield Problem(
                "config.context_channels",
                f"{given}, but must be [{condition}]: the condition has the rate of the audio, "
                f"block {level} is behind patch_size, factors or an STFT",
            )
        elif not any(self.num_blocks[level - 1 : level]):
            yield Problem(
                "config.num_blocks",
                f"0 in block {level}, but must be at least 1, since context_channels {given} joins "
                "the condition there",
            )
        elif (self.widths[level] + condition) % self.resnet_groups:
            yield Problem(
                "config.resnet_groups",
                f"{self.resnet_groups}, but must divide {self.widths[level]} + {condition}, the "
                f"width of block {level} with the condition that context_channels joins there",
            )


class ADP1DConfig(DiffusionNetworkConfig):
    """The U-Net of audio-diffusion-pytorch."""

    condition_key: ClassVar[str] = "context_channels"

    type: Literal["adp_1d"]
    config: ADP1DParameters = Field(description="Constructor parameters")

    @property
    def ratio(self) -> int:
        return math.prod(self.config.factors) * self.config.patch_size * self.config.hop_samples

    @property
    def objective(self) -> Objective:
        return self.config.diffusion_objective or "v"

    def options(self) -> dict[str, Any]:
        """Arguments of the network."""
        return self.config.options()

    def completed(self, channels: int, condition: int) -> Self:
        derived = {"in_channels": channels, "context_channels": (condition,)}
        absent = {key: value for key, value in derived.items() if getattr(self.config, key) is None}
        return self.model_copy(update={"config": self.config.model_copy(update=absent)})

    def contradictions(self, channels: int, condition: int) -> Iterator[Problem]:
        for key in ("in_channels", "out_channels"):
            given = getattr(self.config, key)
            if given is not None and given != channels:
                yield Problem(
                    f"config.{key}",
                    f"{given}, but must be {channels}, the channels of what it makes",
                )
        yield from self.config.contradictions(condition)
