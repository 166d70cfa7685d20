"""Tar archives of latents in the form of webdataset, each with an index beside it.

A clip is `KEY.latents.npy` (or `KEY.tokens.npy`), perhaps `KEY.std.npy`, and last `KEY.json`. The
index holds where they lie, so that any clip can be read without its neighbours.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tarfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from zoo.data.moments import Moments
from zoo.data.npy import read_npy
from zoo.errors import CheckpointError
from zoo.writing import write_whole

INDEX_SUFFIX = ".index.json"
SHARD_SUFFIX = ".tar"
_END_BYTES = 1024
# What archives that are cut, or of something else, raise.
_DAMAGE = (
    OSError,
    EOFError,
    tarfile.TarError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
)
# webdataset takes the name up to the first dot of its last part for the key of a clip, and skips
# what begins like __meta__.
_UNSAFE = re.compile(r"[.%\x00-\x1f\x7f](?=[^/]*$)|[%\x00-\x1f\x7f]|^_(?=_)|^/")


@dataclass(frozen=True, slots=True)
class Member:
    """A clip in a shard; places are in bytes from the start of the archive.

    Raises: ValueError for what can be no clip.

    Attributes:
        name: of the clip, as in its json.
        frames: its length.
        sample_rate, samples, channels: of the audio; rate in Hz.
        values: where the array of latents or tokens begins.
        std: where that of the standard deviation begins.
        path, size, modified, content: of the source; bytes, nanoseconds, SHA-256.
        form: what is kept, as "latents float32".
    """

    name: str
    frames: int
    sample_rate: int
    samples: int
    channels: int
    values: int
    std: int | None = None
    path: str | None = None
    size: int | None = None
    modified: int | None = None
    content: str | None = None
    form: str | None = None

    def __post_init__(self) -> None:
        sizes = (self.frames, self.sample_rate, self.samples, self.channels)
        places = (self.values, self.values if self.std is None else self.std)
        whole = all(type(number) is int for number in (*sizes, *places))
        if not (self.name and isinstance(self.name, str) and whole):
            raise ValueError("a clip without a name or a length")
        if min(sizes) < 1 or min(places) < 0:
            raise ValueError(f"a clip of {self.frames} frames")

    @property
    def seconds(self) -> float:
        return self.samples / self.sample_rate


@dataclass(frozen=True)
class Shard:
    """What an index says of its archive.

    Attributes:
        path: the archive.
        bytes: its size, which shows whether it is whole.
        written: when, in nanoseconds since 1970: of two clips with one name, the later one counts.
        fingerprint: of the model.
        tokens: whether it holds tokens instead of latents.
        model: facts about the model, for the manifest.
        members: the clips.
        moments: of all latents; None for tokens.
    """

    path: Path
    bytes: int
    written: int
    fingerprint: str
    tokens: bool
    model: dict[str, Any]
    members: tuple[Member, ...]
    moments: Moments | None


def key_of(name: str) -> str:
    """The key of a clip: its name, with what webdataset would misread as %XX."""
    return _UNSAFE.sub(lambda found: f"%{ord(found[0]):02X}", name)


def find_shards(folder: Path) -> list[Shard]:
    """All shards of a folder, sorted by name. Raises: CheckpointError."""
    found = (path for path in folder.glob("*.tar") if not path.name.startswith("."))
    return [read_shard(path) for path in sorted(found)]


def read_shard(path: Path, *, keep: bool = True) -> Shard:
    """By its index, which is made anew where it is missing.

    Args:
        keep: write a new index beside the archive.

    Raises:
        CheckpointError: the archive is truncated, or holds something else.
    """
    index = path.with_suffix(INDEX_SUFFIX)
    if not index.exists():
        return _indexed_anew(path, keep)
    try:
        content = json.loads(index.read_bytes())
        if any("sample_rate" not in member for member in content["members"]):
            # As zoo wrote it before it could decode shards.
            return _indexed_anew(path, keep, content["model"], content["written"])
        moments = content.pop("moments")
        shard = Shard(
            path=path,
            members=tuple(Member(**member) for member in content.pop("members")),
            moments=moments and Moments.from_dict(moments),
            **content,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise CheckpointError(
            f"{index}: not an index of latents, or damaged; delete it, it is made anew"
        ) from None
    if path.stat().st_size != shard.bytes:
        raise CheckpointError(
            f"{path}: has {path.stat().st_size} bytes, but must have {shard.bytes}: truncated, or "
            "changed; copy it again, or delete it and its index and encode again"
        )
    return shard


def _indexed_anew(
    path: Path, keep: bool, model: dict[str, Any] | None = None, written: int | None = None
) -> Shard:
    shard = indexed(path, model)
    shard = shard if written is None else replace(shard, written=written)
    if keep:
        with contextlib.suppress(OSError):
            write_index(shard)
    return shard


def write_index(shard: Shard, path: Path | None = None) -> None:
    """Writes the index of the archive, or of the archive that `path` is to be."""
    content = {key: getattr(shard, key) for key in ("bytes", "written", "fingerprint", "tokens")}
    content["model"] = shard.model
    content["moments"] = shard.moments and shard.moments.as_dict()
    content["members"] = [
        {key: value for key, value in asdict(member).items() if value is not None}
        for member in shard.members
    ]
    target = (path or shard.path).with_suffix(INDEX_SUFFIX)
    write_whole(target, json.dumps(content, separators=(",", ":")).encode())


def indexed(path: Path, model: dict[str, Any] | None = None) -> Shard:
    """Reads a whole archive.

    Args:
        model: facts about the model, which an archive does not hold.

    Raises:
        CheckpointError: it is truncated, or holds something else.
    """
    members: list[Member] = []
    parts: list[Moments] = []
    fingerprints: set[str] = set()
    tokens = False
    places: dict[str, int] = {}
    try:
        with tarfile.open(path) as archive:
            for entry in archive:
                suffix = entry.name.rpartition("/")[2].partition(".")[2]
                if suffix != "json":
                    places[suffix] = entry.offset_data
                    continue
                file = archive.extractfile(entry)
                if file is None:
                    raise ValueError(f"{entry.name} is no file")
                facts = json.loads(file.read())
                tokens = "tokens.npy" in places
                values = places["tokens.npy" if tokens else "latents.npy"]
                std = places.get("std.npy")
                members.append(_member(facts, values, std))
                fingerprints.add(facts["fingerprint"])
                if not tokens:
                    spread = None if std is None else read_npy(path, std)
                    parts.append(Moments.of(read_npy(path, values), spread))
                places = {}
        if places or not _ended(path):
            raise ValueError("its last clips are cut off")
        (fingerprint,) = fingerprints
        written = path.stat().st_mtime_ns
    except _DAMAGE as error:
        raise CheckpointError(
            f"{path}: not a shard of latents of one model, or truncated ({error}); copy it again, "
            "or delete it and encode again"
        ) from None
    return Shard(
        path=path,
        bytes=path.stat().st_size,
        written=written,
        fingerprint=fingerprint,
        tokens=tokens,
        model=model or {},
        members=tuple(members),
        moments=Moments.merged(parts),
    )


def newest(shards: list[Shard]) -> list[Shard]:
    """The shards without the clips that a later shard holds again."""
    last: dict[str, Shard] = {}
    for shard in sorted(shards, key=lambda shard: (shard.written, shard.path)):
        last.update((member.name, shard) for member in shard.members)
    return [
        replace(shard, members=tuple(m for m in shard.members if last[m.name] is shard))
        for shard in shards
    ]


def _ended(path: Path) -> bool:
    """Whether an archive has its end mark, two empty blocks."""
    with path.open("rb") as file:
        file.seek(-_END_BYTES, os.SEEK_END)
        return not any(file.read())


def _member(facts: dict[str, Any], values: int, std: int | None) -> Member:
    return Member(
        name=facts["name"],
        frames=facts["frames"],
        values=values,
        std=std,
        form=facts.get("form"),
        **{key: facts[key] for key in ("sample_rate", "samples", "channels")},
        **{key: facts["source"].get(key) for key in ("path", "size", "modified", "content")},
    )
