"""A model as it is best run: the same function, sooner."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import torch
from torch import nn

from zoo.models.autoencoder import AudioAutoencoder
from zoo.nets.compiled import CompiledNetwork
from zoo.nets.conv import WeightNorm
from zoo.nets.prepared import FoldedNetwork, Prepared
from zoo.nets.rows.network import RowNetwork, suits

ModelT = TypeVar("ModelT")


def fast(model: ModelT, compiled: bool = False) -> ModelT:
    """A model with the weights and calls of `model`, for inference: its results have no gradients.

    On a CPU in float32, the networks of Oobleck and of the Descript Audio Codec run over rows of
    channels, with fewer multiplications than their kernels have taps; everywhere else weight norm
    is folded. The weights are shared: what changes them changes both models.

    Args:
        model: an autoencoder in eval mode, ours; others are given back as they are.
        compiled: where not over rows, run by `torch.compile`, for a few lengths only: a minute of
            waiting that many files on a GPU repay. It needs a C++ compiler.
    """
    if not isinstance(model, nn.Module):
        return model
    twin = copy.copy(model)
    parts = twin.__dict__["_modules"] = dict(twin.__dict__["_modules"])
    for name in ("encoder", "decoder"):
        if parts.get(name) is not None:
            parts[name] = _prepared(parts[name], _units(model, name) if compiled else None)
    # An autoencoder may be another one's pretransform.
    for name in ("pretransform", "model"):
        if parts.get(name) is not None:
            parts[name] = fast(parts[name], compiled)
    return twin


def _units(model: Any, part: str) -> tuple[int, int] | None:
    """Inputs and outputs in a frame; None where a part may be at a rate of its own."""
    if type(model) is not AudioAutoencoder:
        return None
    inner = 1 if model.pretransform is None else model.pretransform.downsampling_ratio
    ratio = model.downsampling_ratio // inner
    return (ratio, 1) if part == "encoder" else (1, ratio)


def _prepared(network: nn.Module, units: tuple[int, int] | None) -> nn.Module:
    if isinstance(network, Prepared):
        return network
    if _in_float32_on_cpu(network) and suits(network):
        return RowNetwork(network)
    if units is not None:
        return CompiledNetwork(network, *units)
    folds = any(isinstance(part, WeightNorm) for part in network.modules())
    return FoldedNetwork(network) if folds else network


def _in_float32_on_cpu(part: nn.Module) -> bool:
    return all(p.dtype == torch.float32 and p.device.type == "cpu" for p in part.parameters())
