"""In which order clips are read, and by which process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import Dataset
from torch.utils.data.distributed import DistributedSampler


class ClipSampler(DistributedSampler[Any]):
    """Each clip once an epoch: its index plus their count times the epoch.

    Files are shuffled, and clips among the files that are read at the same time: a disk then sees
    a few shards at once, not all of them. Where the processes can't share evenly, the first clips
    fill up the last round, as all must take equally many steps. Lightning sets the epoch, and
    leaves a `DistributedSampler` as it is.

    Args:
        dataset: only its length is used.
        paths: the file of each clip; those of one file are next to each other.
        files_at_once: files whose clips are shuffled together.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        paths: Sequence[Path],
        *,
        rank: int = 0,
        world: int = 1,
        shuffle: bool = True,
        seed: int = 0,
        files_at_once: int = 8,
    ) -> None:
        super().__init__(dataset, world, rank, shuffle=shuffle, seed=seed)
        self.files_at_once = files_at_once
        changes = [i for i in range(1, len(paths)) if paths[i] != paths[i - 1]]
        self._files = np.split(np.arange(len(paths)), changes)

    def __iter__(self) -> Iterator[int]:
        order = self._order()
        order = np.resize(order, self.total_size) + self.epoch * len(order)
        return iter(order[self.rank :: self.num_replicas].tolist())

    def _order(self) -> np.ndarray:
        if not self.shuffle:
            return np.concatenate(self._files)
        rng = np.random.default_rng((self.seed, self.epoch))
        files = [self._files[index] for index in rng.permutation(len(self._files))]
        step = self.files_at_once
        pools = (np.concatenate(files[i : i + step]) for i in range(0, len(files), step))
        return np.concatenate([rng.permutation(pool) for pool in pools])
