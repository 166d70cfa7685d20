"""A batch ends early, but never in the middle of a file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TypeVar

from lightning import Callback, LightningModule, Trainer

from zoo.data.messages import say
from zoo.signals import FirstSignal

T = TypeVar("T")


class Stop:
    """Whether a process is to take no more files, and why.

    Attributes:
        asked: by a signal, or because the process that started this one is gone.
        error: what forbids to go on, as a full disk.
    """

    def __init__(self) -> None:
        self.asked = False
        self.error: Exception | None = None
        self._parent = os.getppid() if int(os.environ.get("LOCAL_RANK", 0)) else None

    def __bool__(self) -> bool:
        if self._parent is not None and os.getppid() != self._parent:
            self.asked = True
        return self.asked or self.error is not None


class UntilStopped(Iterable[T]):
    """What `batches` gives, until it is time to stop."""

    def __init__(self, batches: Iterable[T], stop: Stop) -> None:
        self.batches = batches
        self.stop = stop

    def __iter__(self) -> Iterator[T]:
        for batch in self.batches:
            if self.stop:
                return
            yield batch


class Interruption(Callback):
    """The first Ctrl-C (or SIGTERM) stops after the batch under way; a second one at once."""

    def __init__(self, stop: Stop) -> None:
        self.stop = stop
        self._signal = FirstSignal(self._ask)

    def _ask(self) -> None:
        self.stop.asked = True
        say("stopping after the files under way; once more stops at once")

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._signal.listen()

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._signal.restore()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        self._signal.restore()
