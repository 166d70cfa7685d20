"""Ctrl-C ends a run cleanly."""

from __future__ import annotations

import signal
from typing import Any

from lightning import Callback, LightningModule, Trainer

from zoo.data.messages import say


class Interruption(Callback):
    """The first Ctrl-C (or SIGTERM) ends the run after the step under way; a second one at once."""

    _SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.interrupted = False
        self._before: dict[signal.Signals, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        def stop(number: int, frame: Any) -> None:
            self.interrupted = True
            self._restore()
            trainer.should_stop = True
            say("stopping after this step; once more stops at once, without saving")

        try:
            self._before = {number: signal.signal(number, stop) for number in self._SIGNALS}
        except ValueError:
            # Only the main thread may handle signals.
            self._before = {}

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._restore()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
