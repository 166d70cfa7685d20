"""Latents as tar shards for training, which the package webdataset reads too."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import tarfile
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from zoo.data.npy import npy_bytes
from zoo.data.shards import (
    INDEX_SUFFIX,
    find_shards,
    indexed,
    key_of,
    newest,
    read_shard,
    write_index,
)
from zoo.errors import CheckpointError
from zoo.inference.batch.facts import arrays, clip_facts, same_source
from zoo.inference.batch.writer import LostError, Source
from zoo.inference.latents import Latents

_NAME = re.compile(r"shard-(\d+)-(\d+)\.tar")


class WebDatasetWriter:
    """Fills one shard after the other, `shard-RANK-NUMBER.tar`.

    A shard has a temporary name until it is full or the writer is closed: what a killed process
    was writing is not there, and its clips are made again. Of a clip that is written again, as its
    source changed, the later one counts; `write_manifest` removes the other.

    Args:
        out: the folder; it may hold shards already.
        fingerprint: of the model.
        rank: of this process, which no other running one may have.
        shard_bytes: a shard is closed once it is as large.
        model: facts for the manifest, of `model_facts`.
        form: of `form_for`; clips that are kept in another one are not done.

    Raises:
        CheckpointError: the folder holds latents of another model, or a damaged shard.
    """

    def __init__(
        self,
        out: Path,
        fingerprint: str,
        rank: int = 0,
        *,
        shard_bytes: int = 2**28,
        model: dict[str, Any] | None = None,
        form: str | None = None,
    ) -> None:
        self.out = out
        self.fingerprint = fingerprint
        self.rank = rank
        self.shard_bytes = shard_bytes
        self.model = model
        self.form = form
        self._archive: tarfile.TarFile | None = None
        self._held: list[Source] = []
        self._lock = threading.Lock()
        self._part = out / f".shard-{rank:05d}.part"
        # All shards of a folder are of one model, so that one tells which.
        for path in sorted(out.glob("shard-*.tar"))[:1]:
            if (made_by := read_shard(path).fingerprint) != fingerprint:
                raise CheckpointError(
                    f"{path}: holds latents of a model with the fingerprint {made_by}, but this "
                    f"one has {fingerprint}; choose another folder, or delete the shards and "
                    "their indices"
                )

    @cached_property
    def _known(self) -> dict[str, tuple[Any, ...]]:
        return {
            member.name: (member.path, member.size, member.modified, member.content)
            for shard in newest(find_shards(self.out))
            for member in shard.members
            if self.form in (None, member.form)
        }

    def done(self, source: Source) -> bool:
        """Whether a finished shard holds the clip, made from this source."""
        with self._lock:
            facts = self._known.get(source.name)
        return facts is not None and same_source(source, *facts)

    def write(self, source: Source, latents: Latents) -> None:
        """Adds a clip to the shard; a full one is closed.

        Raises:
            LostError: the shard cannot be written.
            OSError: the source is gone.
        """
        key = key_of(source.name)
        members = {f"{key}.{name}.npy": npy_bytes(a) for name, a in arrays(latents).items()}
        members[f"{key}.json"] = json.dumps(clip_facts(source, latents)).encode()
        try:
            archive = self._open()
            for name, content in members.items():
                add_member(archive, name, content)
            full = archive.offset >= self.shard_bytes
        except (OSError, RuntimeError, MemoryError) as error:
            # torch tells of a killed loader process wherever the program is: half a member may
            # be written.
            raise self._failed(error) from None
        if full:
            self.close()
        else:
            self._held.append(source)

    def close(self) -> None:
        """Finishes the shard that is being written. Raises: LostError."""
        # Nobody asks any more what is done: of a million clips that is much memory.
        self.__dict__.pop("_known", None)
        if self._archive is None:
            # What a killed process left.
            self._part.unlink(missing_ok=True)
            return
        try:
            self._archive.close()
            self._archive = None
            publish(self._part, next_path(self.out, self.rank), self.model)
            self._held = []
        except OSError as error:
            raise self._failed(error) from None

    def _open(self) -> tarfile.TarFile:
        if self._archive is None:
            self.out.mkdir(parents=True, exist_ok=True)
            self._archive = tarfile.TarFile(self._part, "w")
        return self._archive

    def _failed(self, error: Exception) -> LostError:
        """Nothing is kept of the shard; the next call makes its clips again."""
        archive, self._archive = self._archive, None
        with contextlib.suppress(OSError):
            # An open file keeps its place on the disk, whatever becomes of its name.
            if archive is not None and archive.fileobj is not None:
                archive.fileobj.close()
        with contextlib.suppress(OSError):
            self._part.unlink(missing_ok=True)
        number, reason = (error.errno, error.strerror) if isinstance(error, OSError) else (0, None)
        lost = LostError(number, reason or str(error), str(self._part))
        lost.sources, self._held = tuple(self._held), []
        return lost


def add_member(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    """Adds a file to an archive."""
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def next_path(out: Path, rank: int) -> Path:
    """The first free name of a shard of this process."""
    names = (_NAME.fullmatch(path.name) for path in out.glob("shard-*.tar"))
    taken = [int(name[2]) for name in names if name and int(name[1]) == rank]
    return out / f"shard-{rank:05d}-{max(taken, default=-1) + 1:06d}.tar"


def publish(part: Path, target: Path, model: dict[str, Any] | None) -> None:
    """Gives a written archive its name, after its index. Raises: OSError."""
    shard = replace(indexed(part, model), written=time.time_ns())
    # The archive comes last: where it is, its index is.
    write_index(shard, target)
    _flush(part)
    _flush(target.with_suffix(INDEX_SUFFIX))
    part.replace(target)
    _flush(target.parent)


def compact(folder: Path) -> None:
    """Rewrites the shards that hold clips of which a later shard has a newer form.

    Raises:
        CheckpointError, OSError
    """
    shards = find_shards(folder)
    for old, kept in zip(shards, newest(shards), strict=True):
        if len(kept.members) == len(old.members):
            continue
        if kept.members:
            part = folder / f".{old.path.name}.part"
            _copy(old.path, part, {key_of(member.name) for member in kept.members})
            shard = replace(indexed(part, old.model), written=old.written)
            # Whatever of the two is there alone, its index is made anew from it.
            old.path.with_suffix(INDEX_SUFFIX).unlink()
            part.replace(old.path)
            write_index(shard, old.path)
        else:
            old.path.unlink()
            old.path.with_suffix(INDEX_SUFFIX).unlink()


def _copy(source: Path, target: Path, keys: Iterable[str]) -> None:
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        for entry in old:
            folder, _, base = entry.name.rpartition("/")
            key = "/".join(filter(None, (folder, base.partition(".")[0])))
            if key in keys:
                new.addfile(entry, old.extractfile(entry))


def _flush(path: Path) -> None:
    """The contents of a file, or the names in a folder, are on disk after this."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
