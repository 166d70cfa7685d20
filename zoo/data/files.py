"""Audio files: looking into them, reading a part, writing, finding them in a folder."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from zoo.data.audio_writer import AudioWriter, reason
from zoo.data.walk import files_below
from zoo.errors import AudioError

_LOUDEST = 100.0
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")

# A lossy decoder is exact only some frames after a seek, and libsndfile lands at a wrong sample
# on the last page of a Vorbis file (libsndfile issue 885).
_PREROLL_SAMPLES = 8192
_OGG_LAST_PAGE_SECONDS = 2
_LONGEST = 2**60
_PROMISE = re.compile(r"^data : (\d+) \(should be (\d+)\)", re.MULTILINE)
# Sizes that stand for an unknown one: sox's and ffmpeg's.
_UNKNOWN_BYTES = (range(0x7FFF0000, 0x80000000), range(0xFFFF0000, 0x100000000))
_STDERR = threading.Lock()


@dataclass(frozen=True)
class AudioInfo:
    """What a file's header says.

    Attributes:
        sample_rate: Hz.
        samples: per channel; of a wav, those that are there.
        format: as in `WAV`.
        is_cut: a wav's header promises more samples than are there.
    """

    sample_rate: int
    samples: int
    channels: int
    format: str
    is_cut: bool = False

    @property
    def seconds(self) -> float:
        return self.samples / self.sample_rate


@dataclass(frozen=True, eq=False)
class Audio:
    """Samples and their rate: `values` is float32 (channels, samples), `sample_rate` in Hz."""

    values: Tensor
    sample_rate: int


def probe(path: str | Path) -> AudioInfo:
    """Reads the header of an audio file. The length of an mp3 without index is an estimate.

    Raises:
        AudioError: the file is missing, not audio, or holds no samples.
    """
    with _opened(path) as sound:
        facts = (sound.samplerate, _length(sound), sound.channels, sound.format)
        return AudioInfo(*facts, is_cut=_is_cut(sound))


def read_audio(path: str | Path, start: int = 0, samples: int | None = None) -> Audio:
    """Reads `samples` samples from `start` on, or all that follow; seeks, and reads no more.

    Fewer samples, down to none, come back only where the file ends.

    Raises:
        AudioError: the file is missing, not audio, empty, truncated, holds NaN or infinity, or
            samples 40 dB above full scale.
    """
    assert start >= 0
    assert samples is None or samples > 0
    with _opened(path) as sound:
        length = _length(sound)
        count = max(0, min(length - start, samples if samples is not None else length))
        block = _read(sound, start, count, length)
        sample_rate = sound.samplerate
    if count > 0 and len(block) == 0:
        raise _truncated(path, start, length)
    return Audio(_checked(path, block), sample_rate)


def read_blocks(path: str | Path, samples: int) -> Iterator[Tensor]:
    """What `read_audio` reads of a whole file, float32 (channels, at most `samples`) at a time.

    Raises:
        AudioError: as `read_audio`, at the latest with the block that it concerns.
    """
    assert samples > 0
    with _opened(path) as sound:
        length, done = _length(sound), 0
        while done < length:
            # Without a seek, any decoder goes on exactly where it stopped.
            block = sound.read(min(samples, length - done), dtype="float32", always_2d=True)
            if len(block) == 0 and done == 0:
                raise _truncated(path, done, length)
            if len(block) == 0:
                break
            done += len(block)
            yield _checked(path, block)


def write_audio(
    path: str | Path, values: Tensor, sample_rate: int, *, subtype: str | None = None
) -> None:
    """Writes `values` (channels, samples) as .wav or .flac, under a temporary name until complete.

    `subtype` is libsndfile's name of the sample format: by default `FLOAT` (32 bit) for wav and
    `PCM_24` for flac. Integer formats clip at full scale.

    Raises:
        AudioError: another suffix, nothing or NaN to write, or the disk refuses.
    """
    path = Path(path)
    if values.ndim != 2 or values.numel() == 0:
        raise AudioError(
            f"{path}: nothing to write; the audio has shape {tuple(values.shape)} and must have "
            "(channels, samples), both at least 1"
        )
    with AudioWriter(path, sample_rate, *values.shape, subtype=subtype) as writer:
        writer.write(values)


def find_audio(folder: str | Path) -> tuple[Path, ...]:
    """All wav, flac, ogg and mp3 files in `folder` and below, sorted.

    Hidden files and folders are skipped. Links to folders are followed, each folder once.

    Raises:
        AudioError: `folder` is missing or no folder, or one below it cannot be listed.
    """
    folder = Path(folder)
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "no such folder"
        raise AudioError(f"{folder}: {what}; name a folder with audio files")
    return files_below(folder, AUDIO_SUFFIXES, _refuse_to_list)


def _checked(path: str | Path, block: np.ndarray) -> Tensor:
    """Samples (samples, channels) as a tensor (channels, samples). Raises: AudioError."""
    values = torch.from_numpy(np.ascontiguousarray(block.T))
    if not torch.isfinite(values).all():
        raise AudioError(f"{path}: holds NaN or infinite samples; write it again or remove it")
    if values.numel() and (peak := float(values.abs().max())) > _LOUDEST:
        raise AudioError(
            f"{path}: holds samples as large as {peak:.6g}, but full scale is 1: "
            "whole numbers stored as decimals? Divide them, or remove the file"
        )
    return values


def _truncated(path: str | Path, start: int, length: int) -> AudioError:
    return AudioError(
        f"{path}: ends before sample {start}, though its header says {length} samples; "
        "the file is truncated: replace or remove it"
    )


@contextmanager
def _opened(path: str | Path) -> Iterator[soundfile.SoundFile]:
    try:
        with soundfile.SoundFile(path) as sound:
            yield sound
    except (OSError, TypeError, ValueError, soundfile.SoundFileError) as error:
        raise AudioError(f"{path}: {_diagnosis(path, error)}") from error


def _length(sound: soundfile.SoundFile) -> int:
    """Samples per channel, at least 1. Raises: AudioError."""
    if sound.frames == 0:
        raise AudioError(f"{sound.name}: holds no samples; remove it or write it again")
    if sound.frames > _LONGEST:
        raise AudioError(
            f"{sound.name}: its header does not say how long it is (it was written to a pipe); "
            f"write it again, for instance with: ffmpeg -i {sound.name} new.wav"
        )
    return sound.frames


def _is_cut(sound: soundfile.SoundFile) -> bool:
    """By libsndfile's notes on a wav: whether a frame or more of what is promised is missing."""
    found = _PROMISE.search(sound.extra_info)
    if found is None or any(int(found[1]) in unknown for unknown in _UNKNOWN_BYTES):
        return False
    frame_bytes = int(found[2]) // sound.frames
    return int(found[1]) - int(found[2]) >= frame_bytes


def _read(sound: soundfile.SoundFile, start: int, count: int, length: int) -> np.ndarray:
    """Samples `start` to `start + count` as float32 (samples, channels)."""
    if count == 0:
        return np.zeros((0, sound.channels), np.float32)
    seek_to = start
    if sound.subtype in ("VORBIS", "OPUS"):
        before_last_page = length - _OGG_LAST_PAGE_SECONDS * sound.samplerate
        seek_to = min(start - _PREROLL_SAMPLES, before_last_page)
    elif sound.subtype.startswith("MPEG"):
        seek_to = start - _PREROLL_SAMPLES
    seek_to = max(0, seek_to)
    dropped = start - seek_to
    with _quiet_decoder() if sound.subtype.startswith("MPEG") else nullcontext():
        sound.seek(seek_to)
        return sound.read(dropped + count, dtype="float32", always_2d=True)[dropped:]


@contextmanager
def _quiet_decoder() -> Iterator[None]:
    """mpg123 complains on the process's stderr of frames that a seek cuts: they are dropped."""
    with _STDERR:
        kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nothing)


def _diagnosis(path: str | Path, error: Exception) -> str:
    if os.path.isdir(path):
        return "is a folder, not an audio file; name one file in it"
    if not os.path.exists(path):
        return "no such file; check the path"
    if os.path.getsize(path) == 0:
        return "is empty (0 bytes); replace or remove it"
    if not os.access(path, os.R_OK):
        return "may not be read; check its permissions"
    return f"not readable as audio ({reason(error)}); convert it to wav or flac, or remove it"


def _refuse_to_list(error: OSError) -> None:
    raise AudioError(f"{error.filename}: cannot be listed ({error.strerror})") from error
