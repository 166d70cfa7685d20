"""Random numbers that depend on the step alone."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer


class SeededSteps(Callback):
    """Seeds torch before each batch from (seed, step, rank, number within the step).

    So a resumed run goes on as it was.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, *args: Any, **kwargs: Any
    ) -> None:
        text = f"{self.seed}/{trainer.global_step}/{trainer.global_rank}"
        if pl_module.held:
            text += f"/{pl_module.held}"
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        torch.manual_seed(int.from_bytes(digest, "little") >> 1)
