"""Pretransforms: fixed, invertible changes of the audio in front of the networks."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from zoo.config.base import Bool, Config, PositiveInt


class PatchedParameters(Config):
    channels: PositiveInt = Field(description="Audio channels")
    patch_size: PositiveInt = Field(description="Samples that become channels of one frame")


class PatchedPretransformConfig(Config):
    """Every `patch_size` samples become one frame with that many channels."""

    type: Literal["patched"]
    config: PatchedParameters = Field(description="Parameters")
    enable_grad: Bool = Field(
        default=False, description="Whether its weights are trained: it has none"
    )

    @property
    def ratio(self) -> int:
        """Audio samples per frame."""
        return self.config.patch_size

    @property
    def audio_channels(self) -> int:
        return self.config.channels

    def encoded_channels(self, audio_channels: int) -> int:
        """Channels of a frame for `audio_channels` channels of audio."""
        return audio_channels * self.config.patch_size


PretransformConfig = PatchedPretransformConfig
