"""Which files a batch is made from, and the places of what is made of them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from zoo.data.shards import SHARD_SUFFIX
from zoo.data.walk import files_below
from zoo.errors import AudioError
from zoo.inference.batch.writer import Source


@dataclass(frozen=True)
class Failure:
    """A file of which nothing was made, or a clip "SHARD, NAME"; and why: one line."""

    path: str
    reason: str

    @classmethod
    def of(cls, source: Source | Path, error: BaseException) -> Failure:
        path = source.path if isinstance(source, Source) else source
        reason = (str(error) or type(error).__name__).splitlines()[0]
        if isinstance(error, OSError) and error.strerror:
            reason = error.strerror
        return cls(str(source), reason.removeprefix(f"{path}: "))


@dataclass(frozen=True)
class Found:
    """All inputs of a batch, sorted by name, and what can't be one."""

    sources: tuple[Source, ...]
    failures: tuple[Failure, ...]


def find_sources(inputs: Sequence[Path], out: Path, suffixes: Collection[str]) -> Found:
    """Files, and those with one of `suffixes` in folders and below.

    The tree of a single folder is kept below `out`; of several inputs, each folder keeps its name.
    Files that differ in their suffix alone keep it in their names. `out` itself is not searched.

    Raises:
        AudioError: an input is missing, or there is nothing in any of them.
    """
    failures: list[Failure] = []

    def refused(error: OSError) -> None:
        failures.append(Failure(str(error.filename), f"cannot be listed: {error.strerror}"))

    places: dict[Path, str] = {}
    for given in map(_absolute, inputs):
        if given.is_dir():
            prefix = given.name if len(inputs) > 1 else ""
            for path in files_below(given, suffixes, refused, without=out):
                places.setdefault(path, PurePosixPath(prefix, path.relative_to(given)).as_posix())
        elif os.path.lexists(given):
            places.setdefault(given, given.name)
        else:
            raise AudioError(f"{given}: no such file or folder; check the path")
    if not places and not failures:
        named = ", ".join(map(str, inputs))
        raise AudioError(f"{named}: no files with {', '.join(suffixes)} in this folder or below")
    sources: list[Source] = []
    for path, name in _named(places, failures):
        try:
            facts = path.stat()
        except OSError as error:
            failures.append(Failure.of(path, error))
        else:
            sources.append(Source(path, name, facts.st_size, facts.st_mtime_ns, seconds=0.0))
    return Found(tuple(sorted(sources, key=lambda source: source.name)), tuple(failures))


def _named(places: dict[Path, str], failures: list[Failure]) -> Iterable[tuple[Path, str]]:
    """Each path with a name that no other one has; what has none is a failure."""
    short = {path: _stem(place) for path, place in places.items()}
    taken = Counter(short.values())
    names = {path: name if taken[name] == 1 else places[path] for path, name in short.items()}
    # Of a shard nothing is written but its clips.
    taken = Counter(name for path, name in names.items() if not _is_shard(path))
    for path, name in names.items():
        if _is_shard(path) or taken[name] == 1:
            yield path, name
        else:
            failures.append(collision(path, name))


def collision(source: Source | Path, name: str) -> Failure:
    """Of a source that has the name of another one."""
    reason = f"would be written to the same place, {name}, as another input"
    return Failure(str(source), f"{reason}; give their folders one by one")


def _is_shard(path: Path) -> bool:
    return path.suffix.lower() == SHARD_SUFFIX


def _stem(place: str) -> str:
    folder, slash, name = place.rpartition("/")
    return folder + slash + os.path.splitext(name)[0]


def _absolute(path: Path) -> Path:
    """Without `..`, but links stay as they are named."""
    return Path(os.path.abspath(path.expanduser()))
