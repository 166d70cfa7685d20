"""Diffusion networks and processes."""

from __future__ import annotations

from typing import assert_never

from torch import nn

from zoo.config.adp import ADP1DConfig
from zoo.config.dau import DAU1DConfig
from zoo.config.dit import DiTConfig
from zoo.config.model import (
    DiffusionConfig,
)
from zoo.models.diffusion.process import Process, RectifiedFlow, VProcess
from zoo.nets.diffusion.adp import UNet1DCondWrapper
from zoo.nets.diffusion.dau import DAU1DCondWrapper
from zoo.nets.diffusion.dit import DiTWrapper


def create_diffusion_network(part: DiffusionConfig) -> nn.Module:
    """A diffusion network, its weights frozen unless `requires_grad`; `part` is completed."""
    match part:
        case DiTConfig():
            network = DiTWrapper(**part.options())
        case ADP1DConfig():
            network = UNet1DCondWrapper(**part.options())
        case DAU1DConfig():
            network = DAU1DCondWrapper(**part.options())
        case _:
            assert_never(part)
    return network.requires_grad_(part.requires_grad)


def create_process(part: DiffusionConfig) -> Process:
    """How noise is added for a diffusion network, and what it predicts."""
    match part.objective:
        case "v":
            return VProcess()
        case "rectified_flow" | "rf_denoiser":
            return RectifiedFlow()
        case _:
            assert_never(part.objective)
