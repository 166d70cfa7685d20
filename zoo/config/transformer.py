"""The parts of a transformer block: attention, feed-forward network, norms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from zoo.config.base import Bool, Config, NonNegativeFloat, PositiveFloat, PositiveInt
from zoo.errors import Problem


class AttentionParameters(Config):
    """Every attention of every block."""

    dim_context: PositiveInt | None = Field(
        default=None,
        description="Separate projections for queries and for keys and values of self-attention: "
        "the width of the block; left out, one for all three",
    )
    qk_norm: Literal["l2", "ln", "dyt", "none"] = Field(
        default="none",
        description="How queries and keys are normalised: to length one (l2), by a layer norm "
        "(ln), by a tanh with trained slope (dyt), or not",
    )
    differential: Bool = Field(
        default=False, description="The difference of two attentions to the same values"
    )
    feat_scale: Bool = Field(
        default=False,
        description="Trained gains for the mean over all frames and for what differs from it",
    )

    def contradictions(self, width: int, cross_attends: bool) -> Iterator[Problem]:
        """What they say against a block of this width; paths relative to them."""
        if self.dim_context is None:
            return
        if cross_attends:
            yield Problem(
                "dim_context",
                f"{self.dim_context}, but with cross-attention (config.cond_token_dim above 0) the "
                "width of the context follows from the condition: leave it out",
            )
        elif self.dim_context != width:
            yield Problem(
                "dim_context",
                f"{self.dim_context}, but self-attention takes its keys from the block, "
                f"{width} channels wide: {width}, or leave it out",
            )


class FeedForwardParameters(Config):
    """The feed-forward network of every block."""

    dim_out: PositiveInt | None = Field(
        default=None, description="Output channels, those of the block; left out, the same"
    )
    mult: PositiveFloat = Field(default=4.0, description="Width in multiples of the block's")
    no_bias: Bool = Field(default=False, description="Layers without bias, but for the gated one")
    glu: Bool = Field(
        default=True,
        description="The first layer is gated by another one, and linear even with use_conv",
    )
    use_conv: Bool = Field(
        default=False, description="Convolutions over time instead of linear layers"
    )
    conv_kernel_size: PositiveInt = Field(
        default=3, description="Frames that a convolution sees; odd with use_conv"
    )

    def contradictions(self, width: int) -> Iterator[Problem]:
        """What they say against a block of this width; paths relative to them."""
        if self.dim_out is not None and self.dim_out != width:
            yield Problem(
                "dim_out",
                f"{self.dim_out}, but the output is added to the block's input, {width} channels "
                f"wide: {width}, or leave it out",
            )
        if int(self.mult * width) < 1:
            yield Problem(
                "mult",
                f"{self.mult} x {width} channels leaves no width; at least {1 / width:.3g}",
            )
        if self.use_conv and self.conv_kernel_size % 2 == 0:
            yield Problem(
                "conv_kernel_size",
                f"{self.conv_kernel_size}, but an even kernel changes the number of frames: give "
                "an odd one",
            )


class NormParameters(Config):
    """The layer norms of every block."""

    bias: Bool = Field(default=False, description="With a trained offset")
    fix_scale: Bool = Field(default=False, description="The gain stays one")
    force_fp32: Bool = Field(
        default=False, description="Computed in 32 bits where the rest is half precision"
    )
    eps: NonNegativeFloat = Field(default=1e-5, description="Added to the variance of a frame")
