"""The networks of other projects, imported quietly, to compare ours with."""

from __future__ import annotations

import importlib
from types import ModuleType

from zoo.interop import quiet

_FACTORY = "stable_audio_tools.models.factory"
# Imported by the factory's functions as they are called, when nothing is quiet any more.
_BUILT = ("stable_audio_tools.models.autoencoders", "stable_audio_tools.models.pretransforms")


def import_upstream(name: str) -> ModuleType:
    """A module of stable-audio-tools, or of a package that it needs."""
    with quiet():
        for later in _BUILT if name == _FACTORY else ():
            importlib.import_module(later)
        return importlib.import_module(name)
