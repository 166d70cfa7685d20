"""Ctrl-C and the like, as a request to end instead of an end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class FirstSignal:
    """Hears the first SIGINT, SIGTERM or SIGHUP; a second one does what it always did.

    Args:
        asked: called with the first one.
    """

    def __init__(self, asked: Callable[[], None]) -> None:
        self._asked = asked
        self._before: dict[signal.Signals, Any] = {}

    def listen(self) -> None:
        """From here on. Only the main thread may: elsewhere, nothing happens."""
        process = os.getpid()

        def heard(number: int, frame: Any) -> None:
            if os.getpid() != process:
                # A loader process: it ends with the one that it serves.
                return
            self.restore()
            self._asked()

        # What is ignored, as SIGHUP below nohup, stays so.
        heeded = [s for s in _SIGNALS if signal.getsignal(s) not in (None, signal.SIG_IGN)]
        try:
            self._before = {number: signal.signal(number, heard) for number in heeded}
        except ValueError:
            self._before = {}

    def restore(self) -> None:
        """As it was before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
