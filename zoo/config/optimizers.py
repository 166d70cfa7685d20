"""Optimisers, their schedules and the average of the weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from zoo.config.base import (
    Bool,
    Config,
    Float,
    Fraction,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
)
from zoo.errors import Problem

Decay = Annotated[Float, Field(ge=0, lt=1)]
Betas = tuple[Decay, Decay]


class AdamParameters(Config):
    lr: PositiveFloat = Field(default=1e-4, description="Learning rate")
    betas: Betas = Field(default=(0.8, 0.99), description="Decay of both moments")
    eps: PositiveFloat = Field(default=1e-8, description="Added to the denominator")
    weight_decay: NonNegativeFloat = Field(default=0.0, description="Weight decay")


class AdamWParameters(AdamParameters):
    weight_decay: NonNegativeFloat = Field(default=1e-3, description="Decoupled weight decay")


class SGDParameters(Config):
    lr: PositiveFloat = Field(default=1e-3, description="Learning rate")
    momentum: Fraction = Field(default=0.0, description="Momentum")
    weight_decay: NonNegativeFloat = Field(default=0.0, description="Weight decay")
    nesterov: Bool = Field(default=False, description="Nesterov momentum")


class _Optimizer(Config):
    def contradictions(self) -> Iterator[Problem]:
        """What its parameters say against each other; paths relative to this part."""
        return iter(())


class AdamWConfig(_Optimizer):
    """torch.optim.AdamW."""

    type: Literal["AdamW"]
    config: AdamWParameters = Field(default_factory=lambda: AdamWParameters())


class AdamConfig(_Optimizer):
    """torch.optim.Adam."""

    type: Literal["Adam"]
    config: AdamParameters = Field(default_factory=lambda: AdamParameters())


class SGDConfig(_Optimizer):
    """torch.optim.SGD."""

    type: Literal["SGD"]
    config: SGDParameters = Field(default_factory=lambda: SGDParameters())

    def contradictions(self) -> Iterator[Problem]:
        if self.config.nesterov and self.config.momentum == 0:
            yield Problem("config.nesterov", "needs a momentum above 0")


class InverseLRParameters(Config):
    inv_gamma: PositiveFloat = Field(default=1.0, description="Steps until the rate is 2^-power")
    power: PositiveFloat = Field(default=1.0, description="Exponent of the decay")
    warmup: Decay = Field(
        default=0.0, description="Exponential warm-up: the rate starts at 1 - warmup of itself"
    )
    final_lr: NonNegativeFloat = Field(default=0.0, description="The rate never falls below this")


class ExponentialLRParameters(Config):
    gamma: Annotated[Float, Field(gt=0, le=1)] = Field(description="Factor for each step")


class CosineAnnealingLRParameters(Config):
    T_max: PositiveInt = Field(description="Steps until the lowest rate")
    eta_min: NonNegativeFloat = Field(default=0.0, description="Lowest rate")


class InverseLRConfig(Config):
    """The inverse decay of k-diffusion and stable-audio-tools."""

    type: Literal["InverseLR"]
    config: InverseLRParameters = Field(default_factory=lambda: InverseLRParameters())


class ExponentialLRConfig(Config):
    """torch.optim.lr_scheduler.ExponentialLR."""

    type: Literal["ExponentialLR"]
    config: ExponentialLRParameters


class CosineAnnealingLRConfig(Config):
    """torch.optim.lr_scheduler.CosineAnnealingLR."""

    type: Literal["CosineAnnealingLR"]
    config: CosineAnnealingLRParameters


OptimizerConfig = Annotated[AdamWConfig | AdamConfig | SGDConfig, Field(discriminator="type")]
SchedulerConfig = Annotated[
    InverseLRConfig | ExponentialLRConfig | CosineAnnealingLRConfig, Field(discriminator="type")
]


class OptimizationConfig(Config):
    """How the weights of one network are updated."""

    optimizer: OptimizerConfig = Field(
        default_factory=lambda: AdamWConfig(type="AdamW"), description="Optimiser"
    )
    scheduler: SchedulerConfig | None = Field(
        default=None, description="Schedule of the learning rate, advanced at each step"
    )


class DiffusionOptimizersConfig(Config):
    autoencoder: OptimizationConfig = Field(
        default_factory=lambda: OptimizationConfig(), description="For the autoencoder"
    )


class OptimizersConfig(DiffusionOptimizersConfig):
    discriminator: OptimizationConfig = Field(
        default_factory=lambda: OptimizationConfig(), description="For the discriminator"
    )


class EMAConfig(Config):
    """An average of the weights with a decay that grows: min(beta, 1 - (step - 1)^-power)."""

    beta: Fraction = Field(default=0.9999, description="Largest decay")
    power: PositiveFloat = Field(default=0.75, description="How fast the decay grows")
