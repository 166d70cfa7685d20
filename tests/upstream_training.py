"""Upstream's training wrapper, run by our Lightning."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.utilities import rank_zero

from tests.oracle import import_upstream


def upstream_training(name: str) -> ModuleType:
    """A module of `stable_audio_tools.training`.

    It asks for the package `pytorch_lightning`, whose code `lightning.pytorch` is.
    """
    names: dict[str, Any] = {
        "pytorch_lightning": pl,
        "pytorch_lightning.utilities": pl.utilities,
        "pytorch_lightning.utilities.rank_zero": rank_zero,
    }
    added = names.keys() - sys.modules.keys()
    sys.modules.update(names)
    try:
        return import_upstream(f"stable_audio_tools.training.{name}")
    finally:
        for key in added:
            del sys.modules[key]
