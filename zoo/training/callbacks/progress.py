"""The progress bar of a training run."""

from __future__ import annotations

import contextlib
import time
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from zoo.data.messages import tell

_SMOOTHING = 0.9


class TrainingProgress(ProgressBar):
    """Step, losses, seconds of audio per second, time left; plain lines where no terminal is."""

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        self.sample_rate = sample_rate
        self.console = Console(stderr=True)
        self._bar: Progress | None = None
        self._task: Any = None
        self._enabled = True
        self._last = 0.0
        self._pace = 0.0
        self._told = 0

    def disable(self) -> None:
        self._enabled = False

    def enable(self) -> None:
        self._enabled = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._last = time.perf_counter()
        if not (self._enabled and self.console.is_terminal):
            return
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[facts]}"),
            console=self.console,
        )
        total = trainer.max_steps if trainer.max_steps > 0 else None
        self._task = self._bar.add_task("", total=total, completed=trainer.global_step, facts="")
        self._bar.start()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Tensor,
        batch_idx: int,
    ) -> None:
        now = time.perf_counter()
        seconds = len(batch) * trainer.world_size * batch.shape[-1] / self.sample_rate
        pace = seconds / max(now - self._last, 1e-9)
        self._pace = _SMOOTHING * self._pace + (1 - _SMOOTHING) * pace if self._pace else pace
        self._last = now
        if not self._enabled:
            return
        if self._bar is not None:
            self._bar.update(self._task, completed=trainer.global_step, facts=self._facts(trainer))
        elif self._is_due(trainer, pl_module):
            tell(f"step {trainer.global_step}/{trainer.max_steps} {self._facts(trainer)}")

    def _is_due(self, trainer: Trainer, pl_module: LightningModule) -> bool:
        """Once for each of the steps that are told."""
        step, before = trainer.global_step, self._told
        self._told = step
        every: int = pl_module.recipe.trainer.log_every_n_steps  # type: ignore[union-attr]
        return step != before and step % every == 0

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Validation is not training time.
        self._last = time.perf_counter()
        metrics = {
            name: float(value)
            for name, value in trainer.callback_metrics.items()
            if name.startswith("val/")
        }
        if self._enabled and metrics and not trainer.sanity_checking:
            facts = " ".join(f"{name}={value:.3f}" for name, value in metrics.items())
            with contextlib.suppress(OSError):
                self.console.print(f"step {trainer.global_step} {facts}", highlight=False)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _facts(self, trainer: Trainer) -> str:
        losses = " ".join(
            f"{name.removeprefix('train/')}={float(value):.3f}"
            for name, value in trainer.progress_bar_metrics.items()
            if name.startswith("train/")
        )
        return f"{losses} {self._pace:.1f}x realtime"
