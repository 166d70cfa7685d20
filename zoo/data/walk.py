"""Files below a folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path


def files_below(
    folder: Path,
    suffixes: Collection[str],
    refused: Callable[[OSError], None],
    without: Path | None = None,
) -> tuple[Path, ...]:
    """All files with one of `suffixes` in `folder` and below, sorted.

    Hidden files and folders are skipped. Links to folders are followed, each folder once.

    Args:
        suffixes: in small letters, with the dot.
        refused: is called with what forbids to list a folder.
        without: a folder that is left out with all below it.
    """
    found: list[Path] = []
    # `folder` itself is what was asked for.
    visited = set() if without is None else {os.path.realpath(without)} - {os.path.realpath(folder)}
    for root, folders, names in os.walk(folder, followlinks=True, onerror=refused):
        real = os.path.realpath(root)
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += (
            Path(root, name)
            for name in names
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in suffixes
        )
    return tuple(sorted(found))
