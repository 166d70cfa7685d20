"""What loader processes do: files to what a model takes, ahead of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open

from zoo.checkpoints.download import digest
from zoo.data.files import AUDIO_SUFFIXES, probe, read_audio
from zoo.data.resample import resampled_length
from zoo.data.shards import SHARD_SUFFIX
from zoo.errors import CheckpointError, ZooError
from zoo.inference.batch.shard_clips import read_clip
from zoo.inference.batch.sources import Failure
from zoo.inference.batch.writer import Source
from zoo.inference.encoded import fitted
from zoo.inference.latents import Latents

# What one file may do: damaged, gone meanwhile, too long for the memory, too much for a model, …
MISHAPS = (ZooError, OSError, RuntimeError, ValueError, MemoryError)
_MOST_SAMPLES = 2**24


@dataclass(frozen=True)
class Extent:
    """How long a clip is, by its header: in seconds, and in latent frames; `is_cut` of `probe`."""

    seconds: float
    frames: int
    is_cut: bool = False


@dataclass(frozen=True)
class Clip:
    """What decoding needs to know: rate in Hz, length and channels of the file."""

    sample_rate: int
    samples: int
    channels: int


@dataclass(frozen=True)
class Loaded:
    """Clips that a model takes in one call.

    Attributes:
        sources, clips: of each.
        content: audio (in_channels, samples) of each, or its `Latents`; None for a clip that is so
            long that it is read piece by piece.
    """

    sources: tuple[Source, ...]
    clips: tuple[Clip, ...]
    content: Any


class Reader(Protocol):
    """Reads the files of one batch. It goes to the loader processes, so it holds no model."""

    @property
    def suffixes(self) -> tuple[str, ...]: ...

    def extent(self, source: Source) -> Extent:
        """By the header. Raises: ZooError."""
        ...

    def load(self, sources: Sequence[Source]) -> list[Loaded | Failure]:
        """All sources, in groups that fit together; a broken one is a failure."""
        ...


@dataclass(frozen=True)
class AudioReader:
    """Reads audio as a model takes it: its rate in Hz, channels, samples per frame.

    Args:
        streams: whether the model can take a long clip piece by piece.
        similar: frames that clips of several lengths must have to be processed together; None
            where only those of one length can be.
    """

    sample_rate: int
    in_channels: int
    downsampling_ratio: int
    streams: bool
    similar: int | None = None
    suffixes: tuple[str, ...] = AUDIO_SUFFIXES

    def extent(self, source: Source) -> Extent:
        info = probe(source.path)
        samples = resampled_length(info.samples, info.sample_rate, self.sample_rate)
        return Extent(info.seconds, -(-samples // self.downsampling_ratio), info.is_cut)

    def load(self, sources: Sequence[Source]) -> list[Loaded | Failure]:
        whole: list[tuple[Source, Clip, torch.Tensor]] = []
        loaded: list[Loaded | Failure] = []
        for source in sources:
            try:
                info = probe(source.path)
                source = known(source)
                if self.streams and info.samples * info.channels > _MOST_SAMPLES:
                    clip = Clip(info.sample_rate, info.samples, info.channels)
                    loaded.append(Loaded((source,), (clip,), None))
                    continue
                audio = read_audio(source.path)
                channels, samples = audio.values.shape
                # The header of an mp3 may be wrong: only what was read counts.
                clip = Clip(audio.sample_rate, samples, channels)
                values = fitted(audio.values, audio.sample_rate, self)
                whole.append((source, clip, values))
            except MISHAPS as error:
                loaded.append(Failure.of(source, error))
        ratio = self.downsampling_ratio
        return loaded + _grouped(whole, lambda clip: ("", clip.shape[-1] // ratio), self.similar)


@dataclass(frozen=True)
class LatentReader:
    """Reads what `zoo encode` wrote: files, and clips in shards. `similar` as of `AudioReader`."""

    similar: int | None = None
    suffixes: tuple[str, ...] = (".safetensors", SHARD_SUFFIX)

    def extent(self, source: Source) -> Extent:
        if source.clip is not None:
            return Extent(source.seconds, source.clip.member.frames)
        try:
            with safe_open(source.path, framework="pt") as file:
                facts = file.metadata() or {}
                name = "tokens" if "tokens" in set(file.keys()) else "latents"
                _, frames = file.get_slice(name).get_shape()
            return Extent(int(facts["samples"]) / int(facts["sample_rate"]), frames)
        except (OSError, SafetensorError, KeyError, ValueError, ZeroDivisionError):
            Latents.load(source.path)
            raise CheckpointError(f"{source.path}: not a latent file of zoo") from None

    def load(self, sources: Sequence[Source]) -> list[Loaded | Failure]:
        whole: list[tuple[Source, Clip, Latents]] = []
        failures: list[Loaded | Failure] = []
        for source in sources:
            try:
                latents = read_clip(source) if source.clip else Latents.load(source.path)
                clip = Clip(latents.sample_rate, latents.samples, latents.channels)
                whole.append((known(source), clip, latents))
            except MISHAPS as error:
                failures.append(Failure.of(source, error))
        return failures + _grouped(whole, _kind, self.similar)


def _kind(latents: Latents) -> tuple[str, int]:
    """What latents must share to be decoded together, and their length in frames."""
    (name, tensor), *_ = latents.tensors().items()
    return f"{name} {tensor.shape[0]}", latents.frames


def _grouped(
    clips: list[tuple[Source, Clip, Any]],
    kind: Callable[[Any], tuple[str, int]],
    similar: int | None,
) -> list[Loaded | Failure]:
    """Of one kind and length; or of several lengths, where all are long enough for that."""
    groups: dict[tuple[str, int], list[tuple[Source, Clip, Any]]] = {}
    for clip in clips:
        name, frames = kind(clip[2])
        mixed = similar is not None and frames >= similar
        groups.setdefault((name, -1 if mixed else frames), []).append(clip)
    return [Loaded(*map(tuple, zip(*group, strict=True))) for group in groups.values()]


def known(source: Source) -> Source:
    """With the hash of its content. Raises: OSError."""
    return source if source.content else replace(source, content=digest(source.path))
