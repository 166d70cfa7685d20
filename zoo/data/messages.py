"""One-line notes to whoever watches the run."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from lightning.pytorch.utilities import rank_zero_only

_NAMES = 5


@rank_zero_only
def say(message: str) -> None:
    """Writes one line to standard error, on rank zero only."""
    # One write: lines of several processes must not mix.
    sys.stderr.write(f"zoo: {message}\n")
    sys.stderr.flush()


def listed(names: Sequence[str]) -> str:
    """The first few of `names`, and how many more there are."""
    more = len(names) - _NAMES
    return ", ".join(names[:_NAMES]) + (f" and {more} more" if more > 0 else "")
