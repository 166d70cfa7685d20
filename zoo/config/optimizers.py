"""Optimisers and the average of the weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from zoo.config.base import (
    Bool,
    Config,
    Decay,
    Float,
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
)
from zoo.config.schedulers import SchedulerConfig
from zoo.errors import Problem

Betas = tuple[Decay, Decay]


class _Fusible(Config):
    fused: Bool | None = Field(
        default=None,
        description="One kernel for all weights; null: where torch has one, on CPU and CUDA",
    )


class AdamParameters(_Fusible):
    lr: PositiveFloat = Field(default=1e-4, description="Learning rate")
    betas: Betas = Field(default=(0.8, 0.99), description="Decay of both moments")
    eps: PositiveFloat = Field(default=1e-8, description="Added to the denominator")
    weight_decay: NonNegativeFloat = Field(default=0.0, description="Weight decay")
    amsgrad: Bool = Field(default=False, description="Divide by the largest second moment so far")


class AdamWParameters(AdamParameters):
    weight_decay: NonNegativeFloat = Field(default=1e-3, description="Decoupled weight decay")


class SGDParameters(_Fusible):
    lr: PositiveFloat = Field(default=1e-3, description="Learning rate")
    momentum: Fraction = Field(default=0.0, description="Momentum")
    dampening: Fraction = Field(default=0.0, description="Share of the gradient left out")
    weight_decay: NonNegativeFloat = Field(default=0.0, description="Weight decay")
    nesterov: Bool = Field(default=False, description="Nesterov momentum")


class RAdamParameters(Config):
    lr: PositiveFloat = Field(default=1e-3, description="Learning rate")
    betas: Betas = Field(default=(0.9, 0.999), description="Decay of both moments")
    eps: PositiveFloat = Field(default=1e-8, description="Added to the denominator")
    weight_decay: NonNegativeFloat = Field(default=0.0, description="Weight decay")
    decoupled_weight_decay: Bool = Field(
        default=False, description="Decay the weights as AdamW does, not the gradient"
    )


class AdafactorParameters(Config):
    lr: PositiveFloat = Field(
        default=1e-2, description="Largest learning rate, relative to the size of a weight"
    )
    beta2_decay: Annotated[Float, Field(le=0)] = Field(
        default=-0.8, description="Exponent of the second moment's decay, 1 - step^beta2_decay"
    )
    eps: tuple[PositiveFloat | None, PositiveFloat] = Field(
        default=(None, 1e-3),
        description="Added to the squared gradient (null: the dtype's smallest step); "
        "smallest size of a weight",
    )
    d: Annotated[Float, Field(ge=1)] = Field(
        default=1.0, description="Largest root mean square of an update"
    )
    weight_decay: NonNegativeFloat = Field(default=0.0, description="Decoupled weight decay")


class MuonParameters(Config):
    """Of Muon as torch has it, and (`betas`, `adamw_eps`) of AdamW for what is no matrix."""

    lr: PositiveFloat = Field(default=1e-3, description="Learning rate of all weights")
    weight_decay: NonNegativeFloat = Field(default=0.1, description="Decoupled weight decay")
    momentum: Decay = Field(default=0.95, description="Momentum")
    nesterov: Bool = Field(default=True, description="Nesterov momentum")
    ns_coefficients: tuple[Float, Float, Float] = Field(
        default=(3.4445, -4.775, 2.0315), description="Of the Newton-Schulz iteration"
    )
    eps: PositiveFloat = Field(default=1e-7, description="Smallest norm that is divided by")
    ns_steps: Annotated[int, Field(strict=True, gt=0, lt=100)] = Field(
        default=5, description="Newton-Schulz iterations"
    )
    adjust_lr_fn: Literal["original", "match_rms_adamw"] = Field(
        default="match_rms_adamw",
        description="How the shape scales the rate; 'match_rms_adamw' makes updates as large as "
        "AdamW's, so that one lr fits all weights (torch's default is 'original')",
    )
    betas: Betas = Field(default=(0.9, 0.999), description="Decay of both moments of AdamW")
    adamw_eps: PositiveFloat = Field(default=1e-8, description="AdamW's eps")


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
        if self.config.nesterov and self.config.dampening > 0:
            yield Problem("config.nesterov", "needs a dampening of 0")


class RAdamConfig(_Optimizer):
    """torch.optim.RAdam."""

    type: Literal["RAdam"]
    config: RAdamParameters = Field(default_factory=lambda: RAdamParameters())


class AdafactorConfig(_Optimizer):
    """torch.optim.Adafactor."""

    type: Literal["Adafactor"]
    config: AdafactorParameters = Field(default_factory=lambda: AdafactorParameters())


class MuonConfig(_Optimizer):
    """Muon for matrices and kernels of convolutions, AdamW for all other weights."""

    type: Literal["Muon"]
    config: MuonParameters = Field(default_factory=lambda: MuonParameters())


OptimizerConfig = Annotated[
    AdamWConfig | AdamConfig | SGDConfig | RAdamConfig | AdafactorConfig | MuonConfig,
    Field(discriminator="type"),
]


class OptimizationConfig(Config):
    """How the weights of one network are updated."""

    optimizer: OptimizerConfig = Field(
        default_factory=lambda: AdamWConfig(type="AdamW"), description="Optimiser"
    )
    warmup_steps: NonNegativeInt = Field(
        default=0,
        description="Updates in which the rate grows linearly to the schedule's first, which "
        "begins after them",
    )
    scheduler: SchedulerConfig | None = Field(
        default=None, description="Schedule of the learning rate, advanced at each update"
    )

    def contradictions(self, updates: int) -> Iterator[Problem]:
        """Paths relative to this part.

        Args:
            updates: how many the network will have had at the end; -1: no end.
        """
        for problem in self.optimizer.contradictions():
            yield Problem(f"optimizer.{problem.path}", problem.message)
        if self.scheduler is None:
            return
        left = updates if updates < 0 else max(0, updates - self.warmup_steps)
        for problem in self.scheduler.contradictions(left):
            yield Problem(f"scheduler.{problem.path}", problem.message)
        if (
            self.scheduler.type == "InverseLR"
            and self.scheduler.config.warmup
            and self.warmup_steps
        ):
            yield Problem("warmup_steps", "InverseLR has a warmup of its own: set one of them to 0")
        still = self.optimizer.type in ("Adafactor", "Muon")
        if self.scheduler.type == "OneCycleLR" and self.scheduler.config.cycle_momentum and still:
            message = f"{self.optimizer.type} has no momentum that can change: set it to false"
            yield Problem("scheduler.config.cycle_momentum", message)


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
