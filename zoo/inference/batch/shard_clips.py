"""The clips of tar shards as sources of a batch of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import torch

from zoo.data.npy import read_npy
from zoo.data.shards import Shard, newest, read_shard
from zoo.errors import CheckpointError
from zoo.inference.batch.sources import Failure, Found
from zoo.inference.batch.writer import ShardClip, Source
from zoo.inference.latents import Latents

SHARD_SUFFIX = ".tar"


def with_clips(found: Found) -> Found:
    """Each shard replaced by its clips; of clips of one name, the one written last counts.

    Clips keep their names below the place of their shard. Failures are: a shard that can't be read,
    a clip whose name leads out of that place, and two clips of several folders with one name.
    """
    failures = list(found.failures)
    folders: dict[Path, list[tuple[Source, Shard]]] = {}
    sources: list[Source] = []
    for source in found.sources:
        if source.path.suffix != SHARD_SUFFIX:
            sources.append(source)
            continue
        try:
            shard = read_shard(source.path)
        except (CheckpointError, OSError) as error:
            failures.append(Failure.of(source, error))
        else:
            folders.setdefault(source.path.parent, []).append((source, shard))
    for pairs in folders.values():
        shards = newest([shard for _, shard in pairs])
        for (source, _), shard in zip(pairs, shards, strict=True):
            for clip in _clips(source, shard):
                if _stays(clip):
                    sources.append(clip)
                else:
                    failures.append(Failure(str(clip), "its name leads out of the output folder"))
    return Found(*_distinct(sources, failures))


def read_clip(source: Source) -> Latents:
    """The latents of a clip in a shard. Raises: CheckpointError."""
    assert source.clip is not None
    clip, member = source.clip, source.clip.member
    try:
        values = torch.from_numpy(read_npy(source.path, member.values))
        std = None if member.std is None else torch.from_numpy(read_npy(source.path, member.std))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{source.path}: cannot be read ({error}); the shard was changed or is truncated: "
            "encode again"
        ) from None
    return Latents(
        torch.empty(0, member.frames) if clip.tokens else values,
        member.sample_rate,
        member.samples,
        member.channels,
        clip.fingerprint,
        std=std,
        tokens=values if clip.tokens else None,
    )


def _clips(source: Source, shard: Shard) -> Iterable[Source]:
    folder = PurePosixPath(source.name).parent
    for member in shard.members:
        name = (folder / member.name).as_posix()
        clip = ShardClip(member, shard.tokens, shard.fingerprint)
        facts = (source.size, source.modified, member.seconds, member.content)
        yield Source(source.path, name, *facts, clip)


def _stays(source: Source) -> bool:
    """Whether what is made of it stays below the output folder, whoever made the shard."""
    place = PurePosixPath(source.name)
    return not place.is_absolute() and ".." not in place.parts


def _distinct(
    sources: Sequence[Source], failures: list[Failure]
) -> tuple[tuple[Source, ...], tuple[Failure, ...]]:
    taken = Counter(source.name for source in sources)
    for source in sources:
        if taken[source.name] > 1:
            reason = f"would be written to the same place, {source.name}, as another input"
            failures.append(Failure(str(source), f"{reason}; give their folders one by one"))
    kept = (source for source in sources if taken[source.name] == 1)
    return tuple(sorted(kept, key=lambda source: source.name)), tuple(failures)
