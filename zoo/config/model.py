"""Model configs in the form of stable-audio-tools: one file describes one network."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from zoo.config.base import Config, PositiveInt
from zoo.config.bottlenecks import BottleneckConfig
from zoo.config.decoders import DecoderConfig
from zoo.config.encoders import EncoderConfig
from zoo.config.pretransforms import PretransformConfig


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


class DiffusionAutoencoderConfigContainer(BaseAutoencoderConfigContainer):
    """The file of a diffusion autoencoder."""

    model_type: Literal["diffusion_autoencoder"] = Field(
        default="diffusion_autoencoder", description="Kind of model"
    )
    model: DiffusionAutoencoderConfig = Field(description="The network")


ModelContainer = StandardAutoencoderConfigContainer | DiffusionAutoencoderConfigContainer
