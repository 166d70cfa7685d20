"""What callbacks that look at validation share."""

from __future__ import annotations

from typing import Any

from lightning import Callback, LightningModule, Trainer

from zoo.training.module import Reconstruction


class ValidationCallback(Callback):
    """Is shown each batch that validation has reconstructed."""

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
        self.see(trainer, pl_module, outputs, batch_idx)

    def see(
        self,
        trainer: Trainer,
        module: LightningModule,
        reconstruction: Reconstruction,
        batch_index: int,
    ) -> None:
        """Called after each batch, in every process."""
        raise NotImplementedError
