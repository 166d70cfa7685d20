"""Random numbers that depend on the place in the data alone."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer


class SeededSteps(Callback):
    """Seeds torch before each batch from (seed, crops so far, rank, batch within the update).

    So a resumed run goes on as it was, and after an update that is left out others are drawn.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, *args: Any, **kwargs: Any
    ) -> None:
        crops = trainer.datamodule.sample_number  # type: ignore[attr-defined]
        text = f"{self.seed}/{crops}/{trainer.global_rank}/{pl_module.held}"
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        torch.manual_seed(int.from_bytes(digest, "little") >> 1)
