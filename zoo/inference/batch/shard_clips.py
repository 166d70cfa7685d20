"""The clips of tar shards as sources of a batch of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import torch

from zoo.data.npy import read_npy
from zoo.data.shards import SHARD_SUFFIX, Shard, newest, read_shard
from zoo.errors import CheckpointError
from zoo.inference.batch.sources import Failure, Found, collision
from zoo.inference.batch.writer import ShardClip, Source
from zoo.inference.latents import Latents


def with_clips(found: Found) -> Found:
    """Each shard replaced by its clips; of clips of one name, the one written last counts.

    Clips keep their names below the place of their shard. Failures are: a shard that can't be read,
    a clip whose name leads out of that place, and two clips of several folders with one name.
    """
    failures = list(found.failures)
    sources: list[Source] = []
    folders: dict[Path, list[tuple[Source, Shard]]] = {}
    for source in found.sources:
        if source.path.suffix.lower() != SHARD_SUFFIX:
            sources.append(source)
            continue
        try:
            pair = source, read_shard(source.path, keep=False)
        except (CheckpointError, OSError) as error:
            failures.append(Failure.of(source, error))
        else:
            folders.setdefault(source.path.parent, []).append(pair)
    for pairs in folders.values():
        for (source, _), shard in zip(pairs, newest([each for _, each in pairs]), strict=True):
            for clip in _clips(source, shard):
                if _stays(clip):
                    sources.append(clip)
                else:
                    failures.append(Failure(str(clip), "its name leads out of the output folder"))
    return _distinct(sources, failures)


def read_clip(source: Source) -> Latents:
    """The latents of a clip in a shard. Raises: CheckpointError."""
    assert source.clip is not None
    clip, member = source.clip, source.clip.member
    places = {"tokens" if clip.tokens else "latents": member.values}
    places |= {} if member.std is None else {"std": member.std}
    try:
        tensors = {
            name: torch.from_numpy(read_npy(source.path, place)) for name, place in places.items()
        }
        return Latents.of_tensors(
            tensors,
            sample_rate=member.sample_rate,
            samples=member.samples,
            channels=member.channels,
            fingerprint=clip.fingerprint,
        )
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CheckpointError(
            f"{source.path}: cannot be read ({error}); the shard was changed or is truncated: "
            "encode again"
        ) from None


def _clips(source: Source, shard: Shard) -> Iterator[Source]:
    folder = PurePosixPath(source.name).parent
    for member in shard.members:
        # A million long strings would be kept for nothing.
        short = replace(member, path=None, content=None, form=None)
        clip = ShardClip(short, shard.tokens, shard.fingerprint)
        # The shard itself changes when a clip is added, which is no reason to decode others again.
        yield Source(
            source.path,
            (folder / member.name).as_posix(),
            size=member.size or 0,
            modified=member.modified or 0,
            seconds=member.seconds,
            content=f"{member.content} {member.form}",
            clip=clip,
        )


def _stays(source: Source) -> bool:
    """Whether what is made of it stays below the output folder, whoever made the shard."""
    place = PurePosixPath(source.name)
    return not place.is_absolute() and ".." not in place.parts


def _distinct(sources: Sequence[Source], failures: list[Failure]) -> Found:
    taken = Counter(source.name for source in sources)
    failures += (collision(each, each.name) for each in sources if taken[each.name] > 1)
    kept = (source for source in sources if taken[source.name] == 1)
    return Found(tuple(sorted(kept, key=lambda source: source.name)), tuple(failures))
