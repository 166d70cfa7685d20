"""A run whose loss has gone to NaN stops, before it overwrites a good checkpoint."""

from __future__ import annotations

import math
from typing import Any

from lightning import Callback, LightningModule, Trainer

from zoo.errors import TrainingError


class FiniteLoss(Callback):
    """Looks at `train/loss` every `every_n_steps` steps. Raises: TrainingError."""

    def __init__(self, every_n_steps: int) -> None:
        self.every_n_steps = every_n_steps

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, *args: Any, **kwargs: Any
    ) -> None:
        if trainer.global_step % self.every_n_steps:
            return
        # A resumed run may begin with the discriminator's turn, without that loss.
        loss = float(trainer.callback_metrics.get("train/loss", 0.0))
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss} at step {trainer.global_step}; the checkpoints of this run "
                "are older than that. Try a lower learning rate or trainer.gradient_clip_val=1"
            )
