"""The networks of other projects, imported quietly, to compare ours with."""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
import types
import warnings
from types import ModuleType


def import_upstream(name: str) -> ModuleType:
    """A module of stable-audio-tools, without the samplers that need k-diffusion."""
    sys.modules.setdefault("k_diffusion", types.ModuleType("k_diffusion"))
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        return importlib.import_module(name)
