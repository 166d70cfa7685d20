"""Errors about a file say which."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from zoo.errors import ZooError


@contextlib.contextmanager
def naming(path: Path, *others: Path) -> Iterator[None]:
    """Puts the file's name in front of an error's message, unless it or another is there."""
    try:
        yield
    except ZooError as error:
        if any(str(named) in str(error) for named in (path, *others)):
            raise
        raise type(error)(f"{path}: {error}") from None
