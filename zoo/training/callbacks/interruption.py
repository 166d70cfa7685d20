"""Ctrl-C ends a run cleanly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer

from zoo.data.messages import say
from zoo.signals import FirstSignal


class InterruptionError(Exception):
    """Ends `fit` after the state was saved."""


class Interruption(Callback):
    """The first Ctrl-C (or SIGTERM) saves and ends the run after the step under way; a second
    one ends it at once.

    It has to be the last callback, so that all others have seen the step that is saved.

    Args:
        checkpoint: the file that is written.
    """

    def __init__(self, checkpoint: Path) -> None:
        self.checkpoint = checkpoint
        self._asked = False
        self._signal = FirstSignal(self._ask)

    def _ask(self) -> None:
        self._asked = True
        say("stopping after this step; once more stops at once, without saving")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._signal.listen()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, *args: Any, **kwargs: Any
    ) -> None:
        if pl_module.held:
            return
        # Whichever process was asked, all of them stop at the same step.
        if trainer.strategy.reduce_boolean_decision(self._asked, all=False):
            trainer.save_checkpoint(self.checkpoint)
            raise InterruptionError

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._signal.restore()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        self._signal.restore()
