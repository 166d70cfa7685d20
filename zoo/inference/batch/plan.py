"""Who does what: the files of a batch that are not done yet, in groups, shared out."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from zoo.inference.batch.readers import MISHAPS, Extent, Reader, known
from zoo.inference.batch.sources import Failure, Found
from zoo.inference.batch.writer import Source, Writer

Batch = tuple[Source, ...]

_THREADS = 8
_AT_ONCE = 4096
_LONGER = 1.25
# What a file costs besides its length, in seconds of audio.
_COST_SECONDS = 1.0


@dataclass(frozen=True)
class Plan:
    """Batches of clips of one length, how many files are done already, and what can't be read.

    Attributes:
        cut: files that end before the length in their headers.
    """

    batches: tuple[Batch, ...]
    skipped: int
    failures: tuple[Failure, ...]
    cut: tuple[str, ...] = ()

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
    similar: int | None = None,
    verify: bool = False,
    progress: Callable[[Sequence[Source]], Iterable[Source]] = iter,
) -> Plan:
    """Looks at every file. Nothing is written.

    Args:
        frames_at_once: how long each of so many clips may be, to be processed together.
        most_clips: in a batch.
        similar: frames that clips need to be processed together with longer ones; None: they can't.
        verify: compare the contents of sources that are done, not their times alone.
        progress: wraps the sources.
    """

    def look(source: Source) -> tuple[Source, Extent] | Failure | None:
        try:
            if verify:
                source = known(source)
            if writer.done(source):
                return None
            extent = reader.extent(source)
            return replace(source, seconds=extent.seconds), extent
        except MISHAPS as error:
            return Failure.of(source, error)

    lengths: list[tuple[int, Source]] = []
    cut: list[str] = []
    failures, skipped = list(found.failures), 0
    with ThreadPoolExecutor(_THREADS) as threads:
        for some in _slices(progress(found.sources)):
            for seen in threads.map(look, some):
                if seen is None:
                    skipped += 1
                elif isinstance(seen, Failure):
                    failures.append(seen)
                else:
                    source, extent = seen
                    lengths.append((extent.frames, source))
                    cut += [str(source)] if extent.is_cut else []
    at_once = lru_cache(maxsize=None)(frames_at_once)
    batches: list[Batch] = []
    batch: list[tuple[int, Source]] = []
    for frames, source in sorted(lengths, key=lambda each: (each[0], each[1].name)):
        shortest = batch[0][0] if batch else frames
        full = len(batch) == most_clips or (batch and at_once(len(batch) + 1) < frames)
        if full or not _alike(shortest, frames, similar):
            batches.append(tuple(each for _, each in batch))
            batch = []
        batch.append((frames, source))
    if batch:
        batches.append(tuple(each for _, each in batch))
    return Plan(tuple(batches), skipped, tuple(failures), tuple(cut))


def _alike(shortest: int, frames: int, similar: int | None) -> bool:
    """Whether a batch may hold both; little of it is filled up, and little computed twice."""
    if frames == shortest:
        return True
    return similar is not None and shortest >= 2 * similar and frames <= _LONGER * shortest


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
