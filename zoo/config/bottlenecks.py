"""Bottlenecks: what is done to the encoder's output before it is a latent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from zoo.config.base import Bool, Config, NonNegativeInt, PositiveFloat, PositiveInt
from zoo.config.quantizers import (
    DACRVQParameters,
    DACRVQVAEParameters,
    DitheredFSQParameters,
    FSQParameters,
)
from zoo.config.rvq import RVQParameters, width
from zoo.errors import Problem


class NoParameters(Config):
    """A part without parameters."""


class _Bottleneck(Config):
    requires_grad: Bool = Field(default=True, description="Whether its weights are trained")

    def encoder_channels(self, latent_dim: int) -> int:
        """Channels that the encoder must give for `latent_dim` latent channels."""
        return latent_dim

    def decoder_channels(self, latent_dim: int) -> int:
        """Channels that the decoder receives for `latent_dim` latent channels."""
        return latent_dim

    def contradictions(self, latent_dim: int | None = None) -> Iterator[Problem]:
        """What its parameters say against each other, and against `latent_dim` if given.

        Paths are relative to this part.
        """
        yield from ()


class VAEBottleneckConfig(_Bottleneck):
    """Mean and scale from the encoder; a Gaussian latent."""

    type: Literal["vae"]
    config: NoParameters = Field(default_factory=NoParameters, description="No parameters")

    def encoder_channels(self, latent_dim: int) -> int:
        return 2 * latent_dim


class TanhParameters(Config):
    scale: PositiveFloat = Field(default=1.0, description="Latents lie between -scale and scale")


class TanhBottleneckConfig(_Bottleneck):
    """Latents limited by tanh."""

    type: Literal["tanh"]
    config: TanhParameters = Field(default_factory=TanhParameters, description="Parameters")


class L2NormBottleneckConfig(_Bottleneck):
    """Latents of length one."""

    type: Literal["l2_norm"]
    config: NoParameters = Field(default_factory=NoParameters, description="No parameters")


class WassersteinParameters(Config):
    noise_augment_dim: NonNegativeInt = Field(
        default=0, description="Channels of noise that the decoder receives besides the latents"
    )
    bypass_mmd: Bool = Field(default=False, description="Do not compute the MMD loss")
    use_tanh: Bool = Field(default=False, description="Limit latents by tanh")
    tanh_scale: PositiveFloat = Field(
        default=5.0, description="Limit of the latents under `use_tanh`"
    )


class WassersteinBottleneckConfig(_Bottleneck):
    """Latents drawn towards a Gaussian by a maximum mean discrepancy loss."""

    type: Literal["wasserstein"]
    config: WassersteinParameters = Field(
        default_factory=WassersteinParameters, description="Parameters"
    )

    def decoder_channels(self, latent_dim: int) -> int:
        return latent_dim + self.config.noise_augment_dim


class SoftNormParameters(Config):
    dim: PositiveInt = Field(default=32, description="Channels; the model's latent_dim")
    noise_augment_dim: NonNegativeInt = Field(
        default=0, description="Channels of noise that the decoder receives besides the latents"
    )
    noise_regularize: Bool = Field(
        default=False,
        description="Add noise to latents in training: 1 % of each channel's deviation",
    )


class SoftNormBottleneckConfig(_Bottleneck):
    """Latents scaled and shifted per channel, drawn towards zero mean and unit variance."""

    type: Literal["softnorm"]
    config: SoftNormParameters = Field(default_factory=SoftNormParameters, description="Parameters")

    def decoder_channels(self, latent_dim: int) -> int:
        return latent_dim + self.config.noise_augment_dim

    def contradictions(self, latent_dim: int | None = None) -> Iterator[Problem]:
        yield from width("config.dim", self.config.dim, latent_dim)


class RVQBottleneckConfig(_Bottleneck):
    """Tokens by residual vector quantisation; codes are averages of their frames."""

    type: Literal["rvq"]
    config: RVQParameters = Field(default_factory=RVQParameters, description="Parameters")

    def contradictions(self, latent_dim: int | None = None) -> Iterator[Problem]:
        yield from _inside(self.config, latent_dim)


class RVQVAEBottleneckConfig(_Bottleneck):
    """A Gaussian latent, then tokens as in `rvq`."""

    type: Literal["rvq_vae"]
    config: RVQParameters = Field(default_factory=RVQParameters, description="Parameters")

    def encoder_channels(self, latent_dim: int) -> int:
        return 2 * latent_dim

    def contradictions(self, latent_dim: int | None = None) -> Iterator[Problem]:
        yield from _inside(self.config, latent_dim)


class DACRVQBottleneckConfig(_Bottleneck):
    """Tokens by the residual vector quantisation of the Descript Audio Codec."""

    type: Literal["dac_rvq"]
    config: DACRVQParameters = Field(description="Parameters")

    def decoder_channels(self, latent_dim: int) -> int:
        return latent_dim + self.config.noise_augment_dim

    def contradictions(self, latent_dim: int | None = None) -> Iterator[Problem]:
        yield from _inside(self.config, latent_dim)


class DACRVQVAEBottleneckConfig(_Bottleneck):
    """A Gaussian latent, then tokens as in `dac_rvq`."""

    type: Literal["dac_rvq_vae"]
    config: DACRVQVAEParameters = Field(description="Parameters")

    def encoder_channels(self, latent_dim: int) -> int:
        return 2 * latent_dim

    def contradictions(self, latent_dim: int | None = None) -> Iterator[Problem]:
        yield from _inside(self.config, latent_dim)


class FSQBottleneckConfig(_Bottleneck):
    """Tokens by rounding each channel to a few values."""

    type: Literal["fsq"]
    config: FSQParameters = Field(description="Parameters")

    def decoder_channels(self, latent_dim: int) -> int:
        return latent_dim + self.config.noise_augment_dim

    def contradictions(self, latent_dim: int | None = None) -> Iterator[Problem]:
        yield from _inside(self.config, latent_dim)


class DitheredFSQBottleneckConfig(_Bottleneck):
    """Tokens by rounding each channel; training adds noise instead."""

    type: Literal["dithered_fsq"]
    config: DitheredFSQParameters = Field(description="Parameters")

    def contradictions(self, latent_dim: int | None = None) -> Iterator[Problem]:
        yield from _inside(self.config, latent_dim)


BottleneckConfig = Annotated[
    VAEBottleneckConfig
    | TanhBottleneckConfig
    | L2NormBottleneckConfig
    | WassersteinBottleneckConfig
    | SoftNormBottleneckConfig
    | RVQBottleneckConfig
    | RVQVAEBottleneckConfig
    | DACRVQBottleneckConfig
    | DACRVQVAEBottleneckConfig
    | FSQBottleneckConfig
    | DitheredFSQBottleneckConfig,
    Field(discriminator="type"),
]

_Quantizer = RVQParameters | DACRVQVAEParameters | FSQParameters | DitheredFSQParameters


def _inside(parameters: _Quantizer, latent_dim: int | None) -> Iterator[Problem]:
    for problem in parameters.contradictions(latent_dim):
        yield Problem(f"config.{problem.path}", problem.message)
