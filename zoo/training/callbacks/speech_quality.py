"""PESQ at each validation."""

from __future__ import annotations

from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from zoo.evaluation.speech import pesq
from zoo.training.module import Reconstruction


class SpeechQuality(Callback):
    """Logs `val/pesq`, the mean over the clips that have a value, and `val/pesq_left_out`, how many
    have none. Without any, `val/pesq` is NaN.
    """

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self._values: list[Tensor] = []

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._values = []

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        assert isinstance(outputs, Reconstruction)
        if len(outputs.reals) > 0:
            self._values.append(pesq(outputs.decoded, outputs.reals, self.sample_rate))

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        of_clips = torch.cat([torch.empty(0, dtype=torch.float64), *self._values])
        heard = of_clips.isfinite()
        facts = [of_clips[heard].sum(), heard.sum(), (~heard).sum()]
        # Sums over all processes, since each may leave out another number of clips.
        total, count, left_out = trainer.strategy.reduce(
            torch.stack([fact.float() for fact in facts]).to(pl_module.device), reduce_op="sum"
        )
        # The same in all processes, so their mean is it too.
        values = {"val/pesq": total / count, "val/pesq_left_out": left_out}
        pl_module.log_dict(values, sync_dist=True)
