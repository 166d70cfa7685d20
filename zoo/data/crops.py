"""Crops of audio files: random ones for training, fixed ones for validation."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from zoo.data.files import AudioInfo, read_audio
from zoo.data.messages import say
from zoo.data.resample import fit_channels, reach, reduced, resample, resampled_length
from zoo.errors import AudioError

_TRIES = 12


@dataclass(frozen=True)
class AudioFile:
    """A file that was probed."""

    path: Path
    info: AudioInfo


@dataclass(frozen=True)
class Crop:
    """A place in a file: `start` in samples at the rate of the training audio."""

    file: AudioFile
    start: int


class CropReader:
    """Reads crops of one length, rate and channel count. A broken file is named once, on stderr."""

    def __init__(self, *, sample_rate: int, channels: int, segment_samples: int) -> None:
        assert sample_rate > 0 and channels > 0 and segment_samples > 0
        self.sample_rate = sample_rate
        self.channels = channels
        self.segment_samples = segment_samples
        self._reported: set[Path] = set()

    def length(self, file: AudioFile) -> int:
        """Samples of the whole file at `sample_rate`."""
        return resampled_length(file.info.samples, file.info.sample_rate, self.sample_rate)

    def read(self, crop: Crop) -> Tensor:
        """float32 (channels, segment_samples), as if cut from the whole resampled file.

        Zeros follow where the file ends. Only the samples that matter are read.

        Raises:
            AudioError: the file cannot be read.
        """
        native_rate = crop.file.info.sample_rate
        old, new = reduced(native_rate, self.sample_rate)
        margin = 0 if old == new else reach(native_rate, self.sample_rate)
        # Input sample k·old and output sample k·new fall on the same instant.
        block = max(0, (crop.start * old // new - margin) // old)
        first, skipped = block * old, crop.start - block * new
        last = -(-(crop.start + self.segment_samples) * old // new) + margin
        audio = read_audio(crop.file.path, first, last - first)
        values = resample(audio.values, audio.sample_rate, self.sample_rate)
        values = fit_channels(values, self.channels)[:, skipped:][:, : self.segment_samples]
        missing = self.segment_samples - values.shape[-1]
        return torch.nn.functional.pad(values, (0, missing)).contiguous()

    def first_readable(self, crops: Iterable[Crop]) -> Tensor | None:
        """The first crop that can be read; files that cannot are reported."""
        return next(self.readable(crops), None)

    def readable(self, crops: Iterable[Crop]) -> Iterator[Tensor]:
        """The crops that can be read; files that cannot are reported."""
        for crop in crops:
            try:
                yield self.read(crop)
            except AudioError as error:
                if crop.file.path not in self._reported:
                    self._reported.add(crop.file.path)
                    say(f"left out: {error}")


class CropDataset(Dataset[Tensor]):
    """Crop number n: float32 (channels, segment_samples), a pure function of `seed` and n.

    Files are drawn in proportion to their length. A crop whose peak is below `skip_silence_db`
    is drawn again, a dozen times at most; an unreadable file gives way to another one.
    """

    def __init__(
        self,
        files: Sequence[AudioFile],
        *,
        sample_rate: int,
        channels: int,
        segment_samples: int,
        seed: int,
        skip_silence_db: float | None = None,
        phase_flip: float = 0.0,
        gain_db: float = 0.0,
    ) -> None:
        assert files
        self.files = tuple(files)
        self.seed = seed
        self.phase_flip = phase_flip
        self.gain_db = gain_db
        self._silence = -1.0 if skip_silence_db is None else 10 ** (skip_silence_db / 20)
        self._reader = CropReader(
            sample_rate=sample_rate, channels=channels, segment_samples=segment_samples
        )
        self._lengths = [self._reader.length(file) for file in self.files]
        self._ends = np.cumsum(self._lengths)

    def __getitem__(self, number: int) -> Tensor:
        """Raises: AudioError where no file at all can be read."""
        rng = np.random.default_rng((self.seed, number))
        sign = -1.0 if rng.random() < self.phase_flip else 1.0
        gain = 10 ** (rng.uniform(-self.gain_db, self.gain_db) / 20)
        drawn = [self._draw(rng) for _ in range(_TRIES)]
        quiet = None
        for values in self._reader.readable(drawn):
            if values.abs().max() >= self._silence:
                return values * (sign * gain)
            quiet = values
        if quiet is None:
            quiet = self._any(offset=int(rng.integers(len(self.files))))
        return quiet * (sign * gain)

    def _draw(self, rng: np.random.Generator) -> Crop:
        index = int(np.searchsorted(self._ends, rng.integers(self._ends[-1]), side="right"))
        latest = max(0, self._lengths[index] - self._reader.segment_samples)
        return Crop(self.files[index], int(rng.integers(latest + 1)))

    def _any(self, offset: int) -> Tensor:
        files = self.files[offset:] + self.files[:offset]
        values = self._reader.first_readable(Crop(file, 0) for file in files)
        if values is None:
            raise AudioError(
                f"none of the {len(files)} audio files for training can be read, for instance "
                f"{files[0].path}; check that their folder is still there"
            )
        return values


class FixedCrops(Dataset[Tensor]):
    """At most `crops` places spread evenly over the files: float32 (channels, segment_samples).

    Every file gets its turn before any gets a second crop, and crops of one file do not overlap.
    """

    def __init__(
        self,
        files: Sequence[AudioFile],
        *,
        sample_rate: int,
        channels: int,
        segment_samples: int,
        crops: int,
    ) -> None:
        assert files and crops > 0
        self._reader = CropReader(
            sample_rate=sample_rate, channels=channels, segment_samples=segment_samples
        )
        lengths = [self._reader.length(file) for file in files]
        shares = _shares([max(1, length // segment_samples) for length in lengths], crops)
        self.crops = tuple(
            Crop(file, start)
            for file, length, share in zip(files, lengths, shares, strict=True)
            for start in _starts(length, segment_samples, share)
        )

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, number: int) -> Tensor:
        """Raises: AudioError where no crop at all can be read."""
        values = self._reader.first_readable(self.crops[number:] + self.crops[:number])
        if values is None:
            raise AudioError(
                f"none of the audio files for validation can be read, for instance "
                f"{self.crops[number].file.path}; check that their folder is still there"
            )
        return values


class CropSampler(Sampler[int]):
    """Endless: `start` + rank, `start` + rank + world, …; `start` is read when iteration begins."""

    def __init__(self, start: int = 0, rank: int = 0, world: int = 1) -> None:
        assert start >= 0 and 0 <= rank < world
        self.start = start
        self.rank = rank
        self.world = world

    def __iter__(self) -> Iterator[int]:
        return itertools.count(self.start + self.rank, self.world)


def _shares(capacities: Sequence[int], crops: int) -> list[int]:
    """How many of `crops` each file gets, in rounds; a round that is not full is spread evenly."""
    shares = [0] * len(capacities)
    while crops > 0:
        open_files = [index for index, share in enumerate(shares) if share < capacities[index]]
        if not open_files:
            break
        turns = min(crops, len(open_files))
        for turn in range(turns):
            shares[open_files[(2 * turn + 1) * len(open_files) // (2 * turns)]] += 1
        crops -= turns
    return shares


def _starts(length: int, segment: int, share: int) -> list[int]:
    """The starts of `share` crops, one in the middle of each equal stretch of the file."""
    return [max(0, ((2 * turn + 1) * length // share - segment) // 2) for turn in range(share)]
