"""Tells the data module how far training has come."""

from __future__ import annotations

from typing import Any

from lightning import Callback, LightningModule, Trainer
from torch import Tensor


class SampleCounter(Callback):
    """Counts the crops of finished steps over all ranks: a resumed run takes the next one."""

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Tensor,
        batch_idx: int,
    ) -> None:
        trainer.datamodule.advance(len(batch) * trainer.world_size)  # type: ignore[attr-defined]
