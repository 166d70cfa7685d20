"""Who does what: the files of a batch that are not done yet, in groups, shared out."""

from __future__ import annotations

import heapq
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from zoo.inference.batch.readers import MISHAPS, Reader, known
from zoo.inference.batch.sources import Failure, Found
from zoo.inference.batch.writer import Source, Writer

Batch = tuple[Source, ...]

_THREADS = 8
_AT_ONCE = 4096
# What a file costs besides its length, in seconds of audio.
_COST_SECONDS = 1.0


@dataclass(frozen=True)
class Plan:
    """Batches of clips of one length, how many files are done already, and what can't be read."""

    batches: tuple[Batch, ...]
    skipped: int
    failures: tuple[Failure, ...]

    @property
    def files(self) -> int:
        return sum(len(batch) for batch in self.batches)

    @property
    def seconds(self) -> float:
        """Of audio."""
        return sum(source.seconds for batch in self.batches for source in batch)

    def share(self, rank: int, world: int) -> list[Batch]:
        """What the process `rank` of `world` does: about as much as the others, in any order."""
        loads = [(0.0, number) for number in range(world)]
        shares: list[list[Batch]] = [[] for _ in loads]
        for batch in sorted(self.batches, key=_cost, reverse=True):
            load, number = heapq.heappop(loads)
            shares[number].append(batch)
            heapq.heappush(loads, (load + _cost(batch), number))
        # Shards with clips of all lengths, and a time left that is no surprise.
        random.Random(0).shuffle(shares[rank])
        return shares[rank]


def make_plan(
    found: Found,
    reader: Reader,
    writer: Writer[Any],
    frames_at_once: Callable[[int], int],
    *,
    most_clips: int,
    verify: bool = False,
    progress: Callable[[Sequence[Source]], Iterable[Source]] = iter,
) -> Plan:
    """Looks at every file. Nothing is written.

    Args:
        frames_at_once: how long each of so many clips may be, to be processed together.
        most_clips: in a batch.
        verify: compare the contents of sources that are done, not their times alone.
        progress: wraps the sources.
    """

    def look(source: Source) -> tuple[Source, int] | Failure | None:
        try:
            if verify:
                source = known(source)
            if writer.done(source):
                return None
            extent = reader.extent(source)
            return replace(source, seconds=extent.seconds), extent.frames
        except MISHAPS as error:
            return Failure.of(source.path, error)

    by_length: dict[int, list[Source]] = defaultdict(list)
    failures, skipped = list(found.failures), 0
    with ThreadPoolExecutor(_THREADS) as threads:
        for some in _slices(progress(found.sources)):
            for seen in threads.map(look, some):
                if seen is None:
                    skipped += 1
                elif isinstance(seen, Failure):
                    failures.append(seen)
                else:
                    by_length[seen[1]].append(seen[0])
    at_once = lru_cache(maxsize=None)(frames_at_once)
    batches: list[Batch] = []
    for frames, sources in by_length.items():
        fitting = (clips for clips in range(most_clips, 1, -1) if at_once(clips) >= frames)
        count = next(fitting, 1)
        batches += (tuple(sources[i : i + count]) for i in range(0, len(sources), count))
    return Plan(tuple(batches), skipped, tuple(failures))


def _slices(sources: Iterable[Source]) -> Iterable[list[Source]]:
    """A million futures at a time would take a gigabyte."""
    some: list[Source] = []
    for source in sources:
        some.append(source)
        if len(some) == _AT_ONCE:
            yield some
            some = []
    yield some


def _cost(batch: Batch) -> float:
    return sum(source.seconds + _COST_SECONDS for source in batch)
