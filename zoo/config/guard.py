"""What happens when a loss or a gradient is no longer finite."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from zoo.config.base import Config, Float, NonNegativeInt, PositiveInt


class GuardConfig(Config):
    """Updates that are not finite are left out; after too many, training goes back and on."""

    max_skips: PositiveInt = Field(
        default=10, description="Updates left out in a row before training goes back"
    )
    lower_rate: Annotated[Float, Field(gt=0, le=1)] = Field(
        default=0.5, description="Factor of the learning rates each time it goes back"
    )
    max_rollbacks: NonNegativeInt = Field(
        default=3, description="How often it goes back to the same state before the run ends"
    )
    copy_every_n_steps: PositiveInt = Field(
        default=500,
        description="Updates between copies of the state that it goes back to, kept in CPU memory",
    )
