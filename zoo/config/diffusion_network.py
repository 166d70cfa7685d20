"""What the rules ask of any diffusion network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal, Self

from pydantic import Field

from zoo.config.base import Bool, Config
from zoo.errors import Problem

Objective = Literal["v", "rectified_flow", "rf_denoiser"]


class DiffusionNetworkConfig(Config):
    """Base of all diffusion networks: noisy audio, its timestep and a condition to a prediction."""

    # Under `config`: channels of the condition.
    condition_key: ClassVar[str]

    requires_grad: Bool = Field(default=True, description="Whether its weights are trained")

    @property
    def ratio(self) -> int:
        """Samples of its input must be a multiple of this."""
        raise NotImplementedError

    @property
    def objective(self) -> Objective:
        """What it predicts, and how noise is added."""
        raise NotImplementedError

    def completed(self, channels: int, condition: int) -> Self:
        """With what follows from the model around it where the file leaves it out.

        Args:
            channels: of the audio, or of what a pretransform makes of it.
            condition: channels of the condition, the upsampled latents.
        """
        raise NotImplementedError

    def contradictions(self, channels: int, condition: int) -> Iterator[Problem]:
        """What its parameters say against each other and the model; paths relative to this part.

        Args:
            channels, condition: as in `completed`.
        """
        raise NotImplementedError
