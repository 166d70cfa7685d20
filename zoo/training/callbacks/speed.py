"""How fast a run is, what it waits for, and how much GPU memory it takes."""

from __future__ import annotations

import time
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.profilers import PassThroughProfiler
from torch import Tensor


class DataWait(PassThroughProfiler):
    """Adds up the seconds in which the training loop waits for its next batch."""

    _ACTION = "train_dataloader_next"

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        self._since: float | None = None

    def start(self, action_name: str) -> None:
        if action_name.endswith(self._ACTION):
            self._since = time.perf_counter()

    def stop(self, action_name: str) -> None:
        if action_name.endswith(self._ACTION) and self._since is not None:
            self.seconds += time.perf_counter() - self._since
            self._since = None


class Speed(Callback):
    """Logs means over the steps since the last log entry, without validation's time.

    - `speed/realtime`: seconds of audio trained on in a second, by all processes;
    - `speed/updates_per_second`: of the autoencoder;
    - `speed/data_wait`: share of the time that was spent waiting for data; only where the
      trainer's profiler is `DataWait`;
    - `speed/gpu_peak_gib`: most GPU memory that tensors took, on the first GPU.

    The GPU is never waited for: over many steps the host keeps its pace.
    """

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self._audio_seconds = 0.0
        self._paused = 0.0
        self._since = 0.0
        self._waited = 0.0
        self._updates: Any = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._begin(trainer, pl_module)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._paused -= time.perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._paused += time.perf_counter()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Tensor,
        batch_idx: int,
    ) -> None:
        self._audio_seconds += len(batch) * trainer.world_size * batch.shape[-1] / self.sample_rate
        config: Any = pl_module.recipe.trainer  # type: ignore[union-attr]
        if pl_module.held or trainer.global_step % config.log_every_n_steps:
            return
        spent = max(time.perf_counter() - self._since - self._paused, 1e-9)
        updates: Any = pl_module.updates
        facts = {
            "realtime": self._audio_seconds / spent,
            "updates_per_second": (updates - self._updates) / spent,
        }
        if (profiler := _data_wait(trainer)) is not None:
            facts["data_wait"] = (profiler.seconds - self._waited) / spent
        if pl_module.device.type == "cuda":
            facts["gpu_peak_gib"] = torch.cuda.max_memory_allocated(pl_module.device) / 2**30
            torch.cuda.reset_peak_memory_stats(pl_module.device)
        pl_module.log_dict({f"speed/{name}": value for name, value in facts.items()})
        self._begin(trainer, pl_module)

    def _begin(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._audio_seconds = self._paused = 0.0
        self._since = time.perf_counter()
        self._updates = pl_module.updates
        if (profiler := _data_wait(trainer)) is not None:
            self._waited = profiler.seconds


def _data_wait(trainer: Any) -> DataWait | None:
    return trainer.profiler if isinstance(trainer.profiler, DataWait) else None
