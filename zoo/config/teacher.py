"""A trained autoencoder that another one learns from."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from zoo.config.base import Config
from zoo.config.weights import Weight, is_on


class TeacherWeights(Config):
    """Weights of the five terms; upstream gives each a quarter of its STFT loss's weight."""

    latents: Weight = Field(
        default=0.25, description="Weight of the squared distance of both encoders' latents"
    )
    reconstruction: Weight = Field(
        default=0.25, description="Weight of the STFT distance of output and input"
    )
    output: Weight = Field(
        default=0.25, description="Weight of the STFT distance of output and teacher's output"
    )
    encoder: Weight = Field(
        default=0.25, description="Weight of the STFT distance of latents decoded by the teacher"
    )
    decoder: Weight = Field(
        default=0.25, description="Weight of the STFT distance of teacher's latents, decoded"
    )

    def any(self) -> bool:
        """Whether a term counts."""
        return any(is_on(getattr(self, name)) for name in type(self).model_fields)


class TeacherConfig(Config):
    """Distillation from a frozen autoencoder with the same latents."""

    checkpoint: str = Field(
        description="The teacher: a run folder, a checkpoint or whatever else `zoo pull` takes"
    )
    model: str | dict[str, Any] | None = Field(
        default=None, description="Config of a weight file that carries none: a name or a file"
    )
    weights: TeacherWeights = Field(
        default_factory=lambda: TeacherWeights(), description="Weights of the terms"
    )
