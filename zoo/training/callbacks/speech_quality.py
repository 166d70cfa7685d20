"""PESQ at each validation."""

from __future__ import annotations

import torch
from lightning import LightningModule, Trainer
from torch import Tensor

from zoo.evaluation.speech import pesq
from zoo.training.callbacks.validated import ValidationCallback
from zoo.training.module import Reconstruction


class SpeechQuality(ValidationCallback):
    """Logs `val/pesq`, the mean over the clips that have a value, and `val/pesq_left_out`, how many
    have none. Without any, `val/pesq` is NaN.
    """

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self._values: list[Tensor] = []

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._values = []

    def see(
        self,
        trainer: Trainer,
        module: LightningModule,
        reconstruction: Reconstruction,
        batch_index: int,
    ) -> None:
        if len(reconstruction.reals) > 0:
            self._values.append(
                pesq(reconstruction.decoded, reconstruction.reals, self.sample_rate)
            )

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
