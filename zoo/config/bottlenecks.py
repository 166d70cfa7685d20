"""Bottlenecks: what is done to the encoder's output before it is a latent."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from zoo.config.base import Bool, Config, NonNegativeInt, PositiveFloat


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


BottleneckConfig = Annotated[
    VAEBottleneckConfig
    | TanhBottleneckConfig
    | L2NormBottleneckConfig
    | WassersteinBottleneckConfig,
    Field(discriminator="type"),
]
