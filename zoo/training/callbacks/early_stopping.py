"""A run that no longer gets better ends."""

from __future__ import annotations

from typing import Any, Literal

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping

from zoo.data.messages import say


class Plateau(EarlyStopping):
    """Lightning's `EarlyStopping` after validations, which says so in one line.

    A validation without a value (NaN) is one without improvement.
    """

    def __init__(
        self, monitor: str, mode: Literal["min", "max"], patience: int, min_delta: float = 0.0
    ) -> None:
        super().__init__(
            monitor,
            min_delta=min_delta,
            patience=patience,
            mode=mode,
            check_finite=False,
            check_on_train_epoch_end=False,
        )

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        before = trainer.should_stop
        super().on_validation_end(trainer, pl_module)
        if trainer.should_stop and not before:
            by = f"by {abs(self.min_delta):g} " if self.min_delta else ""
            say(
                f"stopping early at step {trainer.global_step}: {self.monitor} has not improved "
                f"{by}for {self.wait_count} validations (best {float(self.best_score):.4g})"
            )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        # A resumed run may be given more patience.
        super().load_state_dict({**state_dict, "patience": self.patience})
