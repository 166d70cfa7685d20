"""Bottlenecks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_never

from zoo.config.bottlenecks import (
    BottleneckConfig,
    DACRVQBottleneckConfig,
    DACRVQVAEBottleneckConfig,
    DitheredFSQBottleneckConfig,
    FSQBottleneckConfig,
    L2NormBottleneckConfig,
    RVQBottleneckConfig,
    RVQVAEBottleneckConfig,
    SoftNormBottleneckConfig,
    TanhBottleneckConfig,
    VAEBottleneckConfig,
    WassersteinBottleneckConfig,
)
from zoo.config.problems import validate_any
from zoo.errors import ConfigError
from zoo.nets.bottlenecks.base import Bottleneck
from zoo.nets.bottlenecks.dac_rvq import DACRVQBottleneck, DACRVQVAEBottleneck
from zoo.nets.bottlenecks.dithered_fsq import DitheredFSQBottleneck
from zoo.nets.bottlenecks.fsq import FSQBottleneck
from zoo.nets.bottlenecks.l2_norm import L2Bottleneck
from zoo.nets.bottlenecks.rvq import RVQBottleneck, RVQVAEBottleneck
from zoo.nets.bottlenecks.softnorm import SoftNormBottleneck
from zoo.nets.bottlenecks.tanh import TanhBottleneck
from zoo.nets.bottlenecks.vae import VAEBottleneck
from zoo.nets.bottlenecks.wasserstein import WassersteinBottleneck


def create_bottleneck_from_config(config: Mapping[str, Any] | BottleneckConfig) -> Bottleneck:
    """A bottleneck, its weights frozen unless `requires_grad`."""
    part: BottleneckConfig = validate_any(BottleneckConfig, config)
    if problems := list(part.contradictions()):
        raise ConfigError(problems)
    match part:
        case VAEBottleneckConfig():
            bottleneck = VAEBottleneck()
        case TanhBottleneckConfig():
            bottleneck = TanhBottleneck(**dict(part.config))
        case L2NormBottleneckConfig():
            bottleneck = L2Bottleneck()
        case WassersteinBottleneckConfig():
            bottleneck = WassersteinBottleneck(**dict(part.config))
        case SoftNormBottleneckConfig():
            bottleneck = SoftNormBottleneck(**dict(part.config))
        case RVQBottleneckConfig():
            bottleneck = RVQBottleneck(**part.config.model_dump())
        case RVQVAEBottleneckConfig():
            bottleneck = RVQVAEBottleneck(**part.config.model_dump())
        case DACRVQBottleneckConfig():
            bottleneck = DACRVQBottleneck(**dict(part.config))
        case DACRVQVAEBottleneckConfig():
            bottleneck = DACRVQVAEBottleneck(**dict(part.config))
        case FSQBottleneckConfig():
            bottleneck = FSQBottleneck(**part.config.model_dump())
        case DitheredFSQBottleneckConfig():
            bottleneck = DitheredFSQBottleneck(**dict(part.config))
        case _:
            assert_never(part)
    return bottleneck.requires_grad_(part.requires_grad)
