"""The weight of a loss: a number, or one that shrinks from step to step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from zoo.config.base import Config, Float, NonNegativeFloat


class DecayingWeight(Config):
    """A weight that is multiplied by `decay` at each update of the autoencoder."""

    weight: NonNegativeFloat = Field(description="Weight before the first update; 0: left out")
    decay: Annotated[Float, Field(gt=0, le=1)] = Field(
        default=1.0, description="Factor for each update"
    )


def _kind(value: Any) -> str:
    return "decaying" if isinstance(value, Mapping | DecayingWeight) else "number"


Weight = Annotated[
    Annotated[NonNegativeFloat, Tag("number")] | Annotated[DecayingWeight, Tag("decaying")],
    Discriminator(_kind),
]


def weight_at(weight: float | DecayingWeight, update: int) -> float:
    """What a weight has come to after `update` updates. The first one counts, as in upstream."""
    if isinstance(weight, DecayingWeight):
        return weight.weight * weight.decay ** (update + 1)
    return weight


def is_on(weight: float | DecayingWeight) -> bool:
    """Whether a loss with this weight counts at all."""
    return (weight.weight if isinstance(weight, DecayingWeight) else weight) > 0
