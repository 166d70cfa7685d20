"""When a run that goes on says that something looks wrong."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from zoo.config.base import Config, Fraction, NonNegativeFloat, NonNegativeInt, PositiveInt
from zoo.errors import Problem


class AlarmsConfig(Config):
    """Limits of means over the last steps; null switches one off."""

    first_step: NonNegativeInt = Field(
        default=1000, description="Nothing is said before; a run begins with odd values"
    )
    every_n_steps: PositiveInt = Field(
        default=100, description="Steps between looks, and that each looks back over"
    )
    repeat_every_n_steps: PositiveInt = Field(
        default=5000, description="Steps before the same is said again"
    )
    latent_std: tuple[NonNegativeFloat, NonNegativeFloat] | None = Field(
        default=(0.05, 20.0), description="Lowest and highest standard deviation of the latents"
    )
    codebook_usage: Fraction | None = Field(
        default=0.1,
        description="Lowest share of the codes that could have occurred, in any codebook",
    )
    discriminator_loss: NonNegativeFloat | None = Field(
        default=0.05, description="Lowest loss of the discriminator, which is 0 once it always wins"
    )

    def contradictions(self) -> Iterator[Problem]:
        """Paths relative to this part."""
        if self.latent_std is not None and self.latent_std[0] >= self.latent_std[1]:
            yield Problem("latent_std", f"{self.latent_std[0]} is not below {self.latent_std[1]}")
