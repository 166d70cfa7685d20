"""Model configs in the form of stable-audio-tools: one file describes one network."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from zoo.config.adp import ADP1DConfig
from zoo.config.base import Bool, Config, PositiveFloat, PositiveInt
from zoo.config.bottlenecks import BottleneckConfig
from zoo.config.dau import DAU1DConfig
from zoo.config.decoders import DecoderConfig
from zoo.config.dit import DiTConfig
from zoo.config.encoders import EncoderConfig
from zoo.config.pretrained import PublishedWeightsConfig
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
from zoo.config.samplers import Sampler
from zoo.config.sampling import Decoding, SamplingConfig


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

    @property
    def audio_channels(self) -> int:
        return self.config.io_channels

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


class _Audio(Config):
    """What the audio of an autoencoder is like."""

    latent_dim: PositiveInt = Field(description="Latent channels")
    downsampling_ratio: PositiveInt = Field(description="Audio samples per latent frame, in all")
    io_channels: PositiveInt = Field(description="Audio channels")
    in_channels: PositiveInt | None = Field(
        default=None, description="Input channels, if they differ"
    )
    out_channels: PositiveInt | None = Field(
        default=None, description="Output channels, if they differ"
    )

    @property
    def input_side(self) -> tuple[str, int]:
        """The key that says how many channels the input has, and its value."""
        return ("in_channels", self.in_channels) if self.in_channels else self._both

    @property
    def output_side(self) -> tuple[str, int]:
        """The key that says how many channels the output has, and its value."""
        return ("out_channels", self.out_channels) if self.out_channels else self._both

    @property
    def _both(self) -> tuple[str, int]:
        return "io_channels", self.io_channels

    @property
    def min_length(self) -> int:
        """Audio that the networks take is a multiple of so many samples."""
        return self.downsampling_ratio

    @property
    def min_length_words(self) -> str:
        """What `min_length` comes from."""
        return f"model.downsampling_ratio {self.downsampling_ratio}"


class AutoencoderConfig(_Audio):
    """A standard autoencoder."""

    encoder: EncoderConfig = Field(description="Audio to latents")
    decoder: DecoderConfig = Field(description="Latents to audio")
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


DiffusionConfig = Annotated[
    DiTConfig | ADP1DConfig | DAU1DConfig,
    Field(discriminator="type"),
]


class DiffusionAutoencoderConfig(_Audio):
    """An autoencoder whose decoder is a diffusion model conditioned on the latents."""

    encoder: EncoderConfig | None = Field(default=None, description="Audio to latents")
    decoder: DecoderConfig | None = Field(default=None, description="Latents to conditioning")
    diffusion: DiffusionConfig = Field(description="Noise and conditioning to audio")
    bottleneck: BottleneckConfig | None = Field(default=None, description="After the encoder")
    pretransform: PretransformConfig | None = Field(default=None, description="Around the networks")
    sampling: SamplingConfig | None = Field(
        default=None, description="Sampler and steps of decoding; by default those of its objective"
    )

    @property
    def min_length(self) -> int:
        around = self.pretransform.ratio if self.pretransform else 1
        return math.lcm(self.downsampling_ratio, around * self.diffusion.ratio)

    @property
    def min_length_words(self) -> str:
        whole = super().min_length_words
        if self.min_length == self.downsampling_ratio:
            return whole
        around = " and the pretransform" if self.pretransform else ""
        return f"{self.min_length}, which {whole}, model.diffusion{around} need together"

    @property
    def decoding(self) -> Decoding:
        """`sampling`, filled up with the defaults of the objective."""
        # A network of this objective has been distilled to few steps.
        few = self.diffusion.objective == "rf_denoiser"
        usual = (Sampler.PINGPONG, 8) if few else (Sampler.DDIM, 100)
        given = self.sampling or SamplingConfig()
        return Decoding(given.sampler or usual[0], given.steps or usual[1])

    @property
    def inner_channels(self) -> int:
        """Channels of the signal that the diffusion network works on."""
        audio = self.out_channels or self.io_channels
        return self.pretransform.encoded_channels(audio) if self.pretransform else audio

    @property
    def condition_channels(self) -> int:
        """Channels of what the diffusion network is given beside the noise."""
        if self.decoder:
            return self.decoder.output_channels
        if self.bottleneck:
            return self.bottleneck.decoder_channels(self.latent_dim)
        return self.latent_dim

    def completed(self) -> Self:
        """With all that follows from the other parts where the file leaves it out.

        With a pretransform, upstream's working files state ratio and channels inside of it; here
        they become those of the audio.
        """
        model = self
        if self.pretransform:
            ratio = self.encoder.ratio if self.encoder else 1
            audio = self.pretransform.audio_channels
            if self.downsampling_ratio == ratio:
                model = model.model_copy(
                    update={"downsampling_ratio": ratio * self.pretransform.ratio}
                )
            if self.io_channels == self.pretransform.encoded_channels(audio):
                model = model.model_copy(update={"io_channels": audio})
        network = self.diffusion.completed(model.inner_channels, model.condition_channels)
        return model.model_copy(update={"diffusion": network})


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
        default=None,
        description="The training section of stable-audio-tools; `zoo train model=` reads it",
    )

    published: PublishedWeightsConfig | None = Field(
        default=None, description="Where others have published weights of this network"
    )

    def completed(self) -> Self:
        """With all that follows from the rest where the file leaves it out."""
        return self


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

    def completed(self) -> Self:
        return self.model_copy(update={"model": self.model.completed()})


AutoencoderContainer = StandardAutoencoderConfigContainer | HyperencoderConfigContainer
ModelContainer = AutoencoderContainer | DiffusionAutoencoderConfigContainer
