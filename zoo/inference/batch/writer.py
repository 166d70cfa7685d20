"""What a batch is made from, and what keeps the latents it makes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from zoo.data.shards import Member
from zoo.inference.latents import Latents

Made = TypeVar("Made", contravariant=True)


@dataclass(frozen=True, slots=True)
class ShardClip:
    """A clip of latents in a shard, or of tokens; `fingerprint` as of `Latents`."""

    member: Member
    tokens: bool
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Source:
    """One input of a batch.

    Attributes:
        path: the file, absolute.
        name: its place under the output folder without suffix, with "/": keeps the tree.
        size: in bytes.
        modified: time of its last change in ns since 1970, `st_mtime_ns`.
        seconds: of audio, by the header; 0 before that was read.
        content: sha256 of the file, once it is known.
        clip: which one of a shard it is; size, time and content are then those of its audio,
            as the shard has them, the content with the form of the latents.
    """

    path: Path
    name: str
    size: int
    modified: int
    seconds: float
    content: str | None = None
    clip: ShardClip | None = None

    def __str__(self) -> str:
        """How a user is told of it."""
        return f"{self.path}, {self.clip.member.name}" if self.clip else str(self.path)


class LostError(OSError):
    """The disk refused what was written together: nothing of it is kept, and no more may come.

    Attributes:
        sources: that `write` had taken before.
    """

    sources: tuple[Source, ...] = ()


class Writer(Protocol[Made]):
    """Keeps what is made of sources; constructed with its folder and rank, once in each process.

    Nothing is written before the first `write`, so that a dry run leaves no trace.
    """

    def done(self, source: Source) -> bool:
        """Whether all of it is there, made from this source by this model.

        Path, size and time decide, and the content where those differ or `source.content` is set.
        Several threads may ask at once, of the first process only, before anything is written.
        """
        ...

    def write(self, source: Source, made: Made, /) -> None:
        """Keeps it whole or not at all. Raises: OSError, ZooError."""
        ...

    def close(self) -> None:
        """All that was written is safe on disk now."""
        ...


LatentWriter = Writer[Latents]
