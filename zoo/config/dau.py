"""The attention U-Net of Dance Diffusion, type `DAU1d`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field

from zoo.config.base import Bool, Config, NonNegativeInt, PositiveInt
from zoo.config.diffusion_network import DiffusionNetworkConfig, Objective
from zoo.errors import Problem

_HEAD = 32


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError(f"must be odd, not {value}: an even kernel changes the length")
    return value


OddInt = Annotated[int, Field(strict=True, gt=0), AfterValidator(_odd)]
Depth = Annotated[int, Field(strict=True, ge=2)]


class DAU1DParameters(Config):
    """Residual convolutions at ever lower rates and back, with attention at the lowest."""

    io_channels: PositiveInt | None = Field(
        default=None,
        description="Channels of the audio, or of what a pretransform makes of it; theirs by "
        "default",
    )
    depth: Depth = Field(default=14, description="Levels; the first has the rate of the audio")
    n_attn_layers: NonNegativeInt = Field(
        default=6,
        description="One less than the levels with attention, counted from the deepest; 0 for none",
    )
    channels: tuple[PositiveInt, ...] = Field(
        default=(128, 128, 256, 256) + (512,) * 10,
        description="Width of each level; where there is attention, and one level above, at least "
        "32 and a multiple of the number of heads, width // 32",
    )
    cond_dim: NonNegativeInt | None = Field(
        default=None, description="Channels of the condition; those of the latents by default"
    )
    cond_noise_aug: Bool = Field(
        default=False, description="Noise of random strength on the condition in training"
    )
    kernel_size: OddInt = Field(default=5, description="Kernel of the convolutions, odd")
    learned_resample: Bool = Field(
        default=False,
        description="Change the rate by convolutions, by any stride, instead of cubic filters",
    )
    strides: tuple[PositiveInt, ...] = Field(
        default=(2,) * 13,
        description="Change of rate before each level but the first; what lies beyond `depth` is "
        "not used",
    )
    conv_bias: Bool = Field(
        default=True, description="Whether convolutions of residual blocks have a bias"
    )
    use_snake: Bool = Field(default=False, description="Snake instead of GELU")
    diffusion_objective: Objective | None = Field(
        default=None, description="What the network predicts, and how noise is added; v by default"
    )

    @property
    def factors(self) -> tuple[int, ...]:
        """The strides that are used."""
        return self.strides[: self.depth - 1]

    def options(self) -> dict[str, Any]:
        """Arguments of the network."""
        return self.model_dump(exclude={"diffusion_objective"})

    def contradictions(self) -> Iterator[Problem]:
        """What they say against each other."""
        if len(self.channels) < self.depth:
            yield Problem(
                "config.channels",
                f"{len(self.channels)} channels, but depth {self.depth}: each level needs its "
                f"width, {self.depth} in all",
            )
        if len(self.strides) < self.depth - 1:
            yield Problem(
                "config.strides",
                f"{len(self.strides)} strides, but depth {self.depth}: each level but the first "
                f"needs its stride, {self.depth - 1} in all",
            )
        others = sorted(set(self.factors) - {2})
        if others and not self.learned_resample:
            yield Problem(
                "config.learned_resample",
                f"false, but strides has {', '.join(map(str, others))}: cubic filters change the "
                "rate by 2 only; must be true, or every stride 2",
            )
        yield from self._heads()

    def _heads(self) -> Iterator[Problem]:
        if not self.n_attn_layers:
            return
        # An attending level also attends at the width of the level above it, on the way up.
        first = max(2, self.depth - self.n_attn_layers) - 2
        for number, width in enumerate(self.channels[first : self.depth], start=first + 1):
            heads = width // _HEAD
            if heads == 0:
                reason = f"attention needs at least {_HEAD} channels"
            elif width % heads:
                reason = f"attention has {width} // {_HEAD} = {heads} heads, which must divide it"
            else:
                continue
            yield Problem(
                "config.channels",
                f"{width} at level {number} of depth {self.depth}, but {reason} (n_attn_layers is "
                f"{self.n_attn_layers}); change the width, or n_attn_layers",
            )


class DAU1DConfig(DiffusionNetworkConfig):
    """The U-Net of Dance Diffusion."""

    condition_key: ClassVar[str] = "cond_dim"

    type: Literal["DAU1d"]
    config: DAU1DParameters = Field(
        default_factory=DAU1DParameters, description="Constructor parameters"
    )

    @property
    def ratio(self) -> int:
        return math.prod(self.config.factors)

    @property
    def objective(self) -> Objective:
        return self.config.diffusion_objective or "v"

    def options(self) -> dict[str, Any]:
        """Arguments of the network."""
        return self.config.options()

    def completed(self, channels: int, condition: int) -> Self:
        derived = {"io_channels": channels, "cond_dim": condition}
        absent = {key: value for key, value in derived.items() if getattr(self.config, key) is None}
        return self.model_copy(update={"config": self.config.model_copy(update=absent)})

    def contradictions(self, channels: int, condition: int) -> Iterator[Problem]:
        yield from self.config.contradictions()
        if self.config.io_channels != channels:
            yield Problem(
                "config.io_channels",
                f"{self.config.io_channels}, but must be {channels}, the channels of what it makes",
            )
        if self.config.cond_dim != condition:
            yield Problem(
                "config.cond_dim",
                f"{self.config.cond_dim}, but must be {condition}, the channels of the condition",
            )
