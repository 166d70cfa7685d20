"""What the processes of a distributed run tell each other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.distributed as dist
from lightning import Trainer
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from torch import Tensor

from zoo.nets.precision import widened


def rank_and_world() -> tuple[int, int]:
    """The number of this process, and how many there are."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def mean_over_ranks(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Scalars averaged over all processes, in one message. Every process has to call this."""
    _, world = rank_and_world()
    if world == 1:
        return dict(values)
    means = torch.stack([widened(value.detach()) for value in values.values()])
    dist.all_reduce(means)
    means /= world
    return dict(zip(values, means.unbind(), strict=True))


class Means:
    """Means over all items that any process has seen, however many each of them has.

    Lightning's own (`sync_dist`) divides by a whole number of items per process.
    """

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._items = 0

    def add(self, means: Mapping[str, float], items: int) -> None:
        """The means of some items."""
        for name, mean in means.items():
            self._sums[name] = self._sums.get(name, 0.0) + items * mean
        self._items += items

    def compute(self, device: torch.device) -> dict[str, Tensor]:
        """The means over all processes, which all have to call this; then it begins anew."""
        sums = [*self._sums.values(), self._items]
        totals = torch.tensor(sums, dtype=torch.float64).to(device)
        names = list(self._sums)
        self._sums, self._items = {}, 0
        if rank_and_world()[1] > 1:
            dist.all_reduce(totals)
        return dict(zip(names, (totals[:-1] / totals[-1]).float().unbind(), strict=True))


def folder_of_first(trainer: Trainer, folder: Path) -> Path:
    """The `folder` of the first process, for all.

    torchrun and SLURM start all processes at about the same time, and each has named a folder after
    its own clock. Where Lightning starts them, they get the name from the first one.
    """
    environment = getattr(trainer.strategy, "cluster_environment", None)
    if (
        trainer.world_size == 1
        or environment is None
        or isinstance(environment, LightningEnvironment)
    ):
        return folder
    # `fit` finds the processes connected, and goes on from there.
    trainer.strategy.setup_environment()
    return trainer.strategy.broadcast(folder)
