"""Pretransforms: fixed, invertible changes of the audio in front of the networks.

That which holds an autoencoder is in `zoo.config.model`, beside the autoencoder's own config.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from zoo.config.base import Bool, Config, NonNegativeInt, PositiveFloat, PositiveInt


class BasePretransformConfig(Config):
    ratio_key: ClassVar[str] = "config"

    enable_grad: Bool = Field(
        default=False,
        description="Whether its weights are trained; gradients flow through it in any case",
    )

    @property
    def ratio(self) -> int:
        """Audio samples per frame."""
        raise NotImplementedError

    @property
    def audio_channels(self) -> int:
        """Channels of the audio that it states."""
        raise NotImplementedError

    def encoded_channels(self, audio_channels: int) -> int:
        """Channels of a frame for `audio_channels` channels of audio."""
        return audio_channels * self.ratio


class WaveletParameters(Config):
    channels: PositiveInt = Field(description="Audio channels")
    levels: NonNegativeInt = Field(description="How many times the lowest band is halved")
    wavelet: Literal["bior2.2", "bior2.4", "bior2.6", "bior2.8", "bior4.4", "bior6.8"] = Field(
        description="Biorthogonal wavelet, by its vanishing moments in synthesis and analysis"
    )


class WaveletPretransformConfig(BasePretransformConfig):
    """Bands of a wavelet transform, each with one sample for every `2 ** levels` of the audio."""

    ratio_key = "levels"

    type: Literal["wavelet"]
    config: WaveletParameters = Field(description="Parameters")

    @property
    def ratio(self) -> int:
        return 2**self.config.levels

    @property
    def audio_channels(self) -> int:
        return self.config.channels


class PatchedParameters(Config):
    channels: PositiveInt = Field(description="Audio channels")
    patch_size: PositiveInt = Field(description="Samples that become channels of one frame")
    oversampling: PositiveInt = Field(
        default=1,
        description="How many times the audio's rate is raised before; it divides `patch_size`",
    )


class PatchedPretransformConfig(BasePretransformConfig):
    """Every `patch_size` samples become one frame with that many channels."""

    ratio_key = "patch_size / oversampling"

    type: Literal["patched"]
    config: PatchedParameters = Field(description="Parameters")

    @property
    def ratio(self) -> int:
        return max(1, self.config.patch_size // self.config.oversampling)

    @property
    def audio_channels(self) -> int:
        return self.config.channels

    def encoded_channels(self, audio_channels: int) -> int:
        return audio_channels * self.config.patch_size


class PQMFParameters(Config):
    attenuation: Annotated[PositiveFloat, Field(ge=20, le=200)] = Field(
        default=100, description="Damping of the other bands in dB"
    )
    num_bands: PositiveInt = Field(default=16, description="Bands of equal width")
    channels: PositiveInt = Field(default=1, description="Audio channels")


class PQMFPretransformConfig(BasePretransformConfig):
    """Bands of a cosine-modulated filter bank (pseudo quadrature mirror filters)."""

    ratio_key = "num_bands"

    type: Literal["pqmf"]
    config: PQMFParameters = Field(default_factory=PQMFParameters, description="Parameters")

    @property
    def ratio(self) -> int:
        return self.config.num_bands

    @property
    def audio_channels(self) -> int:
        return self.config.channels
