"""How batches are loaded, whatever they hold."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, Sampler


def loader(
    dataset: Dataset[Any],
    sampler: Sampler[int] | Sequence[int],
    batch_size: int,
    workers: int,
    collate: Callable[[list[Any]], Any] | None = None,
    once: bool = False,
) -> DataLoader[Any]:
    """A loader with at most `workers` processes, in an order that is the sampler's alone.

    Args:
        once: it is run through a single time, and its processes end with that.
    """
    # More than there are cores only wait for each other.
    workers = min(workers, len(os.sched_getaffinity(0)))
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=workers,
        collate_fn=collate,
        persistent_workers=workers > 0 and not once,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=_leave_signals_to_the_trainer,
        # Else every start of the loader would draw from the global generator.
        generator=torch.Generator(),
    )


def _leave_signals_to_the_trainer(worker: int) -> None:
    """Ctrl-C reaches every process of a terminal; the one that is served ends its loaders."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
