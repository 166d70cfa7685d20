"""Tells the data module how far training has come."""

from __future__ import annotations

from typing import Any

from lightning import Callback, LightningModule, Trainer
from torch import Tensor


class SampleCounter(Callback):
    """Counts the crops of finished steps over all ranks: a resumed run takes the next one.

    Crops whose gradients wait for an update are not counted, since no checkpoint holds those.
    """

    def __init__(self) -> None:
        self._waiting = 0

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Tensor,
        batch_idx: int,
    ) -> None:
        self._waiting += len(batch) * trainer.world_size
        if pl_module.held == 0:
            trainer.datamodule.advance(self._waiting)  # type: ignore[attr-defined]
            self._waiting = 0
