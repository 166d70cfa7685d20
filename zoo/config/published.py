"""Autoencoders that others have published, in the form of stable-audio-tools' configs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field

from zoo.config.base import Bool, Config, PositiveFloat
from zoo.config.pretransforms import BasePretransformConfig
from zoo.errors import Problem

_DAC: dict[str, Any] = {
    "encoder_dim": 64,
    "decoder_dim": 1536,
    "codebook_size": 1024,
    "codebook_dim": 8,
    "quantizer_dropout": 0.5,
}
_FINE = {"encoder_rates": [2, 4, 8, 8], "decoder_rates": [8, 8, 4, 2], "sample_rate": 44100}
_COARSE = {"encoder_rates": [2, 4, 5, 8], "decoder_rates": [8, 5, 4, 2]}
# Source: descript-audio-codec, conf/final.
DAC_SIZES: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("44khz", "8kbps"): {**_DAC, **_FINE, "latent_dim": 1024, "n_codebooks": 9},
    ("44khz", "16kbps"): {**_DAC, **_FINE, "latent_dim": 128, "n_codebooks": 18},
    ("24khz", "8kbps"): {
        **_DAC,
        **_COARSE,
        "sample_rate": 24000,
        "latent_dim": 1024,
        "n_codebooks": 32,
    },
    ("16khz", "8kbps"): {
        **_DAC,
        **_COARSE,
        "sample_rate": 16000,
        "latent_dim": 1024,
        "n_codebooks": 12,
    },
}
_SEANET: dict[str, Any] = {
    "channels": 1,
    "dimension": 128,
    "pad_mode": "constant",
    "true_skip": True,
}
_RVQ: dict[str, Any] = {"n_q": 4, "bins": 2048}
# Source: audiocraft, config/model/encodec and config/solver/compression.
AUDIOCRAFT_SIZES: Mapping[str, Mapping[str, Any]] = {
    "facebook/encodec_32khz": {
        "sample_rate": 32000,
        "seanet": {**_SEANET, "n_filters": 64, "ratios": [8, 5, 4, 4]},
        "rvq": _RVQ,
    },
    "facebook/audiogen-medium": {
        "sample_rate": 16000,
        "seanet": {**_SEANET, "n_filters": 64, "ratios": [8, 5, 4, 2]},
        "rvq": _RVQ,
    },
}
# What a SEANet of audiocraft has beyond that of encodec, and the only value with which it is one.
_NOT_IN_SEANET = {"disable_norm_outer_blocks": 0}
_NOT_IN_RVQ = {"q_dropout": False, "orthogonal_reg_max_codes": None}


def dac_autoencoder(sizes: Mapping[str, Any]) -> dict[str, Any]:
    """The container of a Descript Audio Codec with the given constructor parameters."""
    width = sizes["encoder_dim"] * 2 ** len(sizes["encoder_rates"])
    latent = sizes.get("latent_dim") or width
    encoder = {
        "in_channels": 1,
        "d_model": sizes["encoder_dim"],
        "strides": list(sizes["encoder_rates"]),
    }
    if latent != width:
        encoder["latent_dim"] = latent
    decoder = {
        "out_channels": 1,
        "latent_dim": latent,
        "channels": sizes["decoder_dim"],
        "rates": list(sizes["decoder_rates"]),
    }
    quantizer = {
        "input_dim": latent,
        "n_codebooks": sizes["n_codebooks"],
        "codebook_size": sizes["codebook_size"],
        "codebook_dim": sizes["codebook_dim"],
        "quantizer_dropout": float(sizes.get("quantizer_dropout") or 0),
    }
    return {
        "model_type": "autoencoder",
        "sample_rate": sizes["sample_rate"],
        "model": {
            "encoder": {"type": "dac", "config": encoder},
            "decoder": {"type": "dac", "config": decoder},
            "bottleneck": {"type": "dac_rvq", "config": quantizer},
            "latent_dim": latent,
            "downsampling_ratio": math.prod(sizes["encoder_rates"]),
            "io_channels": 1,
        },
    }


def audiocraft_autoencoder(sizes: Mapping[str, Any]) -> dict[str, Any]:
    """The container of an EnCodec of audiocraft with the given `seanet` and `rvq` sections.

    Raises: ValueError for parameters that its networks don't have here.
    """
    shared = without(sizes["seanet"], _NOT_IN_SEANET)
    own: list[dict[str, Any]] = [shared.pop(part, None) or {} for part in ("encoder", "decoder")]
    encoder, decoder = ({**shared, **parameters} for parameters in own)
    # There, both parts list them from latents to audio.
    encoder["ratios"] = list(reversed(encoder["ratios"]))
    decoder["ratios"] = list(decoder["ratios"])
    quantizer = without(sizes["rvq"], _NOT_IN_RVQ)
    quantizer["num_quantizers"] = quantizer.pop("n_q")
    quantizer["codebook_size"] = quantizer.pop("bins")
    return {
        "model_type": "autoencoder",
        "sample_rate": sizes["sample_rate"],
        "model": {
            "encoder": {"type": "seanet", "config": encoder},
            "decoder": {"type": "seanet", "config": decoder},
            "bottleneck": {"type": "rvq", "config": {"dim": encoder["dimension"], **quantizer}},
            "latent_dim": encoder["dimension"],
            "downsampling_ratio": math.prod(encoder["ratios"]),
            "io_channels": encoder["channels"],
        },
    }


def without(parameters: Mapping[str, Any], fixed: Mapping[str, Any]) -> dict[str, Any]:
    """`parameters` without those in `fixed`. Raises: ValueError for another value of one."""
    for key, value in fixed.items():
        if parameters.get(key, value) != value:
            raise ValueError(f"{key} is {parameters[key]}, which is not supported")
    return {key: value for key, value in parameters.items() if key not in fixed}


class DACPretrainedParameters(Config):
    model_type: Literal["44khz", "24khz", "16khz"] = Field(
        default="44khz", description="Which published model"
    )
    model_bitrate: Literal["8kbps", "16kbps"] = Field(
        default="8kbps", description="Its bit rate; 16kbps is for 44khz only"
    )
    scale: PositiveFloat = Field(default=1.0, description="Its latents are divided by this")
    quantize_on_decode: Bool = Field(
        default=True, description="Latents stay unquantised until they are decoded"
    )
    chunked: Bool = Field(default=True, description="In chunks of 128 frames, for less memory")


class DACPretrainedPretransformConfig(BasePretransformConfig):
    """The latents of a published Descript Audio Codec."""

    type: Literal["dac_pretrained"]
    config: DACPretrainedParameters = Field(
        default_factory=DACPretrainedParameters, description="Parameters"
    )

    @property
    def autoencoder(self) -> dict[str, Any]:
        """The container of the network inside."""
        # Where a bit rate does not exist, the other one stands in: `contradictions` says so.
        usual = DAC_SIZES[self.config.model_type, "8kbps"]
        given = (self.config.model_type, self.config.model_bitrate)
        return dac_autoencoder(DAC_SIZES.get(given, usual))

    @property
    def ratio(self) -> int:
        return self.autoencoder["model"]["downsampling_ratio"]

    @property
    def audio_channels(self) -> int:
        return 1

    def encoded_channels(self, audio_channels: int) -> int:
        return self.autoencoder["model"]["latent_dim"]

    def contradictions(self) -> Iterator[Problem]:
        """Paths relative to this part."""
        given = (self.config.model_type, self.config.model_bitrate)
        if given not in DAC_SIZES:
            yield Problem("config.model_bitrate", f"{given[1]} exists for 44khz only")


class AudiocraftPretrainedParameters(Config):
    model_type: Literal["facebook/encodec_32khz", "facebook/audiogen-medium"] = Field(
        default="facebook/encodec_32khz", description="Which published model"
    )
    scale: PositiveFloat = Field(default=1.0, description="Its latents are divided by this")
    quantize_on_decode: Bool = Field(
        default=True, description="Latents stay unquantised until they are decoded"
    )


class AudiocraftPretrainedPretransformConfig(BasePretransformConfig):
    """The latents of a published EnCodec of audiocraft."""

    type: Literal["audiocraft_pretrained"]
    config: AudiocraftPretrainedParameters = Field(
        default_factory=AudiocraftPretrainedParameters, description="Parameters"
    )

    @property
    def autoencoder(self) -> dict[str, Any]:
        """The container of the network inside."""
        return audiocraft_autoencoder(AUDIOCRAFT_SIZES[self.config.model_type])

    @property
    def ratio(self) -> int:
        return self.autoencoder["model"]["downsampling_ratio"]

    @property
    def audio_channels(self) -> int:
        return 1

    def encoded_channels(self, audio_channels: int) -> int:
        return self.autoencoder["model"]["latent_dim"]
