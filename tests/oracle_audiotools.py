"""Imports of what needs audiotools, which wants TensorBoard though nothing here logs."""

from __future__ import annotations

import importlib.util
import sys
import types
from types import ModuleType

from tests.oracle import import_upstream


def import_audiotools(name: str) -> ModuleType:
    """A module that imports audiotools: of descript-audio-codec, or of upstream's training."""
    if importlib.util.find_spec("tensorboard") is None:
        stub = types.ModuleType("torch.utils.tensorboard")
        stub.SummaryWriter = type("SummaryWriter", (), {})  # pyright: ignore
        sys.modules.setdefault(stub.__name__, stub)
    return import_upstream(name)
