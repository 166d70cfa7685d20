"""Model configs in the form of stable-audio-tools: one file describes one network."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from zoo.config.base import Bool, Config, PositiveFloat, PositiveInt
from zoo.config.bottlenecks import BottleneckConfig
from zoo.config.decoders import DecoderConfig
from zoo.config.encoders import EncoderConfig
from zoo.config.pretransforms import (
    BasePretransformConfig,
    PatchedPretransformConfig,
    PQMFPretransformConfig,
    WaveletPretransformConfig,
)
from zoo.config.published import (
    AudiocraftPretrainedPretransformConfig,
    DACPretrainedPretransformConfig,
)


class AutoencoderPretransformConfig(BasePretransformConfig):
    """The latents of another autoencoder."""

    type: Literal["autoencoder"]
    config: AutoencoderConfig = Field(description="The autoencoder inside, as in `model`")
    scale: PositiveFloat = Field(default=1.0, description="Its latents are divided by this")
    model_half: Bool = Field(default=False, description="Compute it in float16")
    iterate_batch: Bool = Field(default=False, description="One clip at a time, for less memory")
    chunked: Bool = Field(default=False, description="In chunks of 128 frames, for less memory")

    @property
    def ratio(self) -> int:
        return self.config.downsampling_ratio

    def encoded_channels(self, audio_channels: int) -> int:
        return self.config.latent_dim


PretransformConfig = Annotated[
    WaveletPretransformConfig
    | PatchedPretransformConfig
    | PQMFPretransformConfig
    | AutoencoderPretransformConfig
    | DACPretrainedPretransformConfig
    | AudiocraftPretrainedPretransformConfig,
    Field(discriminator="type"),
]


class AutoencoderConfig(Config):
    """A standard autoencoder."""

    encoder: EncoderConfig = Field(description="Audio to latents")
    decoder: DecoderConfig = Field(description="Latents to audio")
    latent_dim: PositiveInt = Field(description="Latent channels")
    downsampling_ratio: PositiveInt = Field(description="Audio samples per latent frame, in all")
    io_channels: PositiveInt = Field(description="Audio channels")
    in_channels: PositiveInt | None = Field(
        default=None, description="Input channels, if they differ"
    )
    out_channels: PositiveInt | None = Field(
        default=None, description="Output channels, if they differ"
    )
    bottleneck: BottleneckConfig | None = Field(
        default=None, description="Between encoder and decoder"
    )
    pretransform: PretransformConfig | None = Field(default=None, description="Around the networks")


# Each holds the other.
AutoencoderPretransformConfig.model_rebuild()
AutoencoderConfig.model_rebuild()


class DiffusionType(StrEnum):
    """The diffusion networks by their names in stable-audio-tools."""

    DAU1D = "DAU1d"
    ADP_1D = "adp_1d"
    DIT = "dit"


class DiffusionConfig(Config):
    """The diffusion network of a diffusion autoencoder."""

    type: DiffusionType = Field(description="Kind of network")
    config: dict[str, Any] = Field(description="Constructor parameters")


class DiffusionAutoencoderConfig(Config):
    """An autoencoder whose decoder is a diffusion model conditioned on the latents."""

    encoder: EncoderConfig | None = Field(default=None, description="Audio to latents")
    decoder: DecoderConfig | None = Field(default=None, description="Latents to conditioning")
    diffusion: DiffusionConfig = Field(description="Noise and conditioning to audio")
    latent_dim: PositiveInt = Field(description="Latent channels")
    downsampling_ratio: PositiveInt = Field(description="Audio samples per latent frame, in all")
    io_channels: PositiveInt = Field(description="Audio channels")
    in_channels: PositiveInt | None = Field(
        default=None, description="Input channels, if they differ"
    )
    out_channels: PositiveInt | None = Field(
        default=None, description="Output channels, if they differ"
    )
    bottleneck: BottleneckConfig | None = Field(default=None, description="After the encoder")
    pretransform: PretransformConfig | None = Field(default=None, description="Around the networks")


class BaseAutoencoderConfigContainer(Config):
    """What the file of any autoencoder holds beside the model."""

    schema_: str | None = Field(
        default=None, alias="$schema", description="The schema that editors check the file by"
    )
    sample_rate: PositiveInt = Field(description="Audio sample rate in Hz")
    sample_size: PositiveInt | None = Field(default=None, description="Training crop in samples")
    audio_channels: PositiveInt | None = Field(
        default=None, description="Channels of training audio"
    )
    training: dict[str, Any] | None = Field(
        default=None, description="The training section of stable-audio-tools, kept as it is"
    )


class StandardAutoencoderConfigContainer(BaseAutoencoderConfigContainer):
    """The file of a standard autoencoder."""

    model_type: Literal["autoencoder"] = Field(default="autoencoder", description="Kind of model")
    model: AutoencoderConfig = Field(description="The network")


class HyperencoderConfigContainer(BaseAutoencoderConfigContainer):
    """The file of an autoencoder over another autoencoder's latents."""

    model_type: Literal["hyperencoder"] = Field(default="hyperencoder", description="Kind of model")
    model: AutoencoderConfig = Field(
        description="The network; its pretransform is of type 'autoencoder'"
    )


class DiffusionAutoencoderConfigContainer(BaseAutoencoderConfigContainer):
    """The file of a diffusion autoencoder."""

    model_type: Literal["diffusion_autoencoder"] = Field(
        default="diffusion_autoencoder", description="Kind of model"
    )
    model: DiffusionAutoencoderConfig = Field(description="The network")


AutoencoderContainer = StandardAutoencoderConfigContainer | HyperencoderConfigContainer
ModelContainer = AutoencoderContainer | DiffusionAutoencoderConfigContainer
