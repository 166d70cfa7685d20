"""The networks of other projects, imported quietly, to compare ours with."""

from __future__ import annotations

import importlib
from types import ModuleType

from zoo.interop import quiet


def import_upstream(name: str) -> ModuleType:
    """A module of stable-audio-tools, or of a package that it needs."""
    with quiet():
        return importlib.import_module(name)
