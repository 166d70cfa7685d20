"""From a recipe to an optimiser and its schedule."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, assert_never

import torch
from torch import nn
from torch.optim import Optimizer, lr_scheduler
from torch.optim.lr_scheduler import LRScheduler

from zoo.config.optimizers import (
    AdafactorConfig,
    AdamConfig,
    AdamWConfig,
    MuonConfig,
    OptimizationConfig,
    OptimizerConfig,
    RAdamConfig,
    SGDConfig,
)
from zoo.config.schedulers import (
    ConstantLRConfig,
    CosineAnnealingLRConfig,
    CosineAnnealingWarmRestartsConfig,
    ExponentialLRConfig,
    InverseLRConfig,
    LinearLRConfig,
    MultiStepLRConfig,
    OneCycleLRConfig,
    PolynomialLRConfig,
    SchedulerConfig,
    StepLRConfig,
)
from zoo.errors import TrainingError
from zoo.training.inverse_lr import InverseLR
from zoo.training.muon import MuonWithAdamW


def build_optimization(
    config: OptimizationConfig, network: nn.Module
) -> tuple[Optimizer, LRScheduler | None]:
    """The optimiser of a network's trainable weights, and its schedule if it has one.

    Raises:
        TrainingError: where no weight is trainable.
    """
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    if not weights:
        raise TrainingError("nothing to train: every part is frozen, by requires_grad or freeze")
    optimizer = _optimizer(config.optimizer, weights)
    scheduler = config.scheduler and _scheduler(config.scheduler, optimizer)
    if config.warmup_steps:
        scheduler = _after_warmup(config.warmup_steps, scheduler, optimizer)
    return optimizer, scheduler


def _optimizer(config: OptimizerConfig, weights: list[nn.Parameter]) -> Optimizer:
    options = dict(config.config)
    if "fused" in options:
        options["fused"] = _fused(options["fused"], weights)
    match config:
        case AdamWConfig():
            return torch.optim.AdamW(weights, **options)
        case AdamConfig():
            return torch.optim.Adam(weights, **options)
        case SGDConfig():
            return torch.optim.SGD(weights, **options)
        case RAdamConfig():
            return torch.optim.RAdam(weights, **options)
        case AdafactorConfig():
            return torch.optim.Adafactor(weights, **options)
        case MuonConfig():
            return MuonWithAdamW(weights, **options)
        case _:
            assert_never(config)


def _fused(wanted: bool | None, weights: Iterable[nn.Parameter]) -> bool:
    """Whether one kernel updates all weights: the faster way, on CPU as on CUDA."""
    if wanted is not None:
        return wanted
    return all(w.device.type in ("cpu", "cuda") and w.is_floating_point() for w in weights)


def _scheduler(config: SchedulerConfig, optimizer: Optimizer) -> LRScheduler:
    options: dict[str, Any] = dict(config.config)
    match config:
        case InverseLRConfig():
            return InverseLR(optimizer, **options)
        case ExponentialLRConfig():
            return lr_scheduler.ExponentialLR(optimizer, **options)
        case StepLRConfig():
            return lr_scheduler.StepLR(optimizer, **options)
        case MultiStepLRConfig():
            return lr_scheduler.MultiStepLR(optimizer, **options)
        case ConstantLRConfig():
            return lr_scheduler.ConstantLR(optimizer, **options)
        case LinearLRConfig():
            return lr_scheduler.LinearLR(optimizer, **options)
        case PolynomialLRConfig():
            return lr_scheduler.PolynomialLR(optimizer, **options)
        case CosineAnnealingLRConfig():
            return lr_scheduler.CosineAnnealingLR(optimizer, **options)
        case CosineAnnealingWarmRestartsConfig():
            return lr_scheduler.CosineAnnealingWarmRestarts(optimizer, **options)
        case OneCycleLRConfig():
            return lr_scheduler.OneCycleLR(optimizer, **options)
        case _:
            assert_never(config)


def _after_warmup(steps: int, scheduler: LRScheduler | None, optimizer: Optimizer) -> LRScheduler:
    """A linear rise to the first rate of `scheduler`, which begins `steps` updates later."""
    if scheduler is None:
        scheduler = lr_scheduler.ConstantLR(optimizer, factor=1.0)
    rise = lr_scheduler.LinearLR(optimizer, start_factor=1 / (steps + 1), total_iters=steps)
    return lr_scheduler.SequentialLR(optimizer, [rise, scheduler], milestones=[steps])
