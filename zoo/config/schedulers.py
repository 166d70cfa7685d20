"""Schedules of the learning rate, with torch's names and parameters; a step is an update."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field

from zoo.config.base import (
    Bool,
    Config,
    Decay,
    Float,
    Fraction,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
)
from zoo.errors import Problem

Factor = Annotated[Float, Field(gt=0, le=1)]


class _Scheduler(Config):
    def contradictions(self, updates: int) -> Iterator[Problem]:
        """What it says against itself or the length of the run; paths relative to this part.

        Args:
            updates: how many it has to last for; -1: no end.
        """
        return iter(())


class InverseLRParameters(Config):
    inv_gamma: PositiveFloat = Field(default=1.0, description="Steps until the rate is 2^-power")
    power: PositiveFloat = Field(default=1.0, description="Exponent of the decay")
    warmup: Decay = Field(
        default=0.0, description="Exponential warm-up: the rate starts at 1 - warmup of itself"
    )
    final_lr: NonNegativeFloat = Field(default=0.0, description="The rate never falls below this")


class ExponentialLRParameters(Config):
    gamma: Factor = Field(description="Factor for each step")


class StepLRParameters(Config):
    step_size: PositiveInt = Field(description="Steps from one fall to the next")
    gamma: Factor = Field(default=0.1, description="Factor for each fall")


class MultiStepLRParameters(Config):
    milestones: tuple[PositiveInt, ...] = Field(min_length=1, description="Steps of the falls")
    gamma: Factor = Field(default=0.1, description="Factor for each fall")


class ConstantLRParameters(Config):
    factor: Fraction = Field(default=1 / 3, description="Of the rate, until `total_iters`")
    total_iters: PositiveInt = Field(default=5, description="Steps until the full rate")


class LinearLRParameters(Config):
    start_factor: Factor = Field(default=1 / 3, description="Of the rate, at first")
    end_factor: Fraction = Field(default=1.0, description="Of the rate, at last")
    total_iters: PositiveInt = Field(default=5, description="Steps from first to last")


class PolynomialLRParameters(Config):
    total_iters: PositiveInt = Field(default=5, description="Steps until the rate is 0")
    power: PositiveFloat = Field(default=1.0, description="Exponent of the decay")


class CosineAnnealingLRParameters(Config):
    T_max: PositiveInt = Field(description="Steps until the lowest rate")
    eta_min: NonNegativeFloat = Field(default=0.0, description="Lowest rate")


class CosineAnnealingWarmRestartsParameters(Config):
    T_0: PositiveInt = Field(description="Steps until the first restart")
    T_mult: PositiveInt = Field(
        default=1, description="Factor of the steps from one restart to the next"
    )
    eta_min: NonNegativeFloat = Field(default=0.0, description="Lowest rate")


class OneCycleLRParameters(Config):
    max_lr: PositiveFloat = Field(description="Highest rate; the optimiser's own isn't used")
    total_steps: PositiveInt = Field(description="Steps of the cycle, at least those of the run")
    pct_start: Fraction = Field(default=0.3, description="Share of the steps in which it rises")
    anneal_strategy: Literal["cos", "linear"] = Field(default="cos", description="Its shape")
    cycle_momentum: Bool = Field(
        default=True, description="Let momentum, or the first beta, fall while the rate rises"
    )
    base_momentum: Decay = Field(default=0.85, description="Lowest momentum")
    max_momentum: Decay = Field(default=0.95, description="Highest momentum")
    div_factor: PositiveFloat = Field(default=25.0, description="First rate: max_lr over this")
    final_div_factor: PositiveFloat = Field(
        default=1e4, description="Last rate: the first rate over this"
    )
    three_phase: Bool = Field(default=False, description="Fall to the first rate, then to the last")


class InverseLRConfig(_Scheduler):
    """The inverse decay of k-diffusion and stable-audio-tools."""

    type: Literal["InverseLR"]
    config: InverseLRParameters = Field(default_factory=lambda: InverseLRParameters())


class ExponentialLRConfig(_Scheduler):
    """torch.optim.lr_scheduler.ExponentialLR."""

    type: Literal["ExponentialLR"]
    config: ExponentialLRParameters


class StepLRConfig(_Scheduler):
    """torch.optim.lr_scheduler.StepLR."""

    type: Literal["StepLR"]
    config: StepLRParameters


class MultiStepLRConfig(_Scheduler):
    """torch.optim.lr_scheduler.MultiStepLR."""

    type: Literal["MultiStepLR"]
    config: MultiStepLRParameters

    def contradictions(self, updates: int) -> Iterator[Problem]:
        if any(later <= earlier for earlier, later in pairwise(self.config.milestones)):
            yield Problem("config.milestones", "must grow")


class ConstantLRConfig(_Scheduler):
    """torch.optim.lr_scheduler.ConstantLR."""

    type: Literal["ConstantLR"]
    config: ConstantLRParameters = Field(default_factory=lambda: ConstantLRParameters())


class LinearLRConfig(_Scheduler):
    """torch.optim.lr_scheduler.LinearLR."""

    type: Literal["LinearLR"]
    config: LinearLRParameters = Field(default_factory=lambda: LinearLRParameters())


class PolynomialLRConfig(_Scheduler):
    """torch.optim.lr_scheduler.PolynomialLR."""

    type: Literal["PolynomialLR"]
    config: PolynomialLRParameters = Field(default_factory=lambda: PolynomialLRParameters())

    def contradictions(self, updates: int) -> Iterator[Problem]:
        yield from _too_short("config.total_iters", self.config.total_iters, updates)


class CosineAnnealingLRConfig(_Scheduler):
    """torch.optim.lr_scheduler.CosineAnnealingLR."""

    type: Literal["CosineAnnealingLR"]
    config: CosineAnnealingLRParameters


class CosineAnnealingWarmRestartsConfig(_Scheduler):
    """torch.optim.lr_scheduler.CosineAnnealingWarmRestarts."""

    type: Literal["CosineAnnealingWarmRestarts"]
    config: CosineAnnealingWarmRestartsParameters


class OneCycleLRConfig(_Scheduler):
    """torch.optim.lr_scheduler.OneCycleLR."""

    type: Literal["OneCycleLR"]
    config: OneCycleLRParameters

    def contradictions(self, updates: int) -> Iterator[Problem]:
        given = self.config
        yield from _too_short("config.total_steps", given.total_steps, updates)
        if given.base_momentum > given.max_momentum:
            message = f"{given.base_momentum} is above max_momentum = {given.max_momentum}"
            yield Problem("config.base_momentum", message)


SchedulerConfig = Annotated[
    InverseLRConfig
    | ExponentialLRConfig
    | StepLRConfig
    | MultiStepLRConfig
    | ConstantLRConfig
    | LinearLRConfig
    | PolynomialLRConfig
    | CosineAnnealingLRConfig
    | CosineAnnealingWarmRestartsConfig
    | OneCycleLRConfig,
    Field(discriminator="type"),
]


def _too_short(path: str, steps: int, updates: int) -> Iterator[Problem]:
    """A schedule that ends at a rate of (almost) 0 before the run does."""
    if updates < 0:
        yield Problem(path, f"{steps} steps can't last for trainer.max_steps = -1")
    elif updates > steps:
        yield Problem(path, f"{steps} steps are too few: the run has {updates} updates left for it")
