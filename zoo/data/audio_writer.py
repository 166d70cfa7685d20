"""An audio file written in blocks, whole or not at all."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from types import TracebackType
from typing import Self

import soundfile
import torch
from torch import Tensor

from zoo.errors import AudioError

_DEFAULT_SUBTYPE = {".wav": "FLOAT", ".flac": "PCM_24"}
_WAV_LIMIT_BYTES = 2**32 - 2**16


class AudioWriter:
    """Writes blocks to a .wav or .flac file that appears under its name once it is complete.

    A wav file that may pass 4 GB becomes an RF64, which has the same suffix.

    Args:
        path: where; folders are made.
        sample_rate: in Hz.
        channels: of the blocks.
        samples: of all blocks together.
        subtype: libsndfile's name of the sample format: by default `FLOAT` (32 bit) for wav and
            `PCM_24` for flac. Integer formats clip at full scale.

    Raises:
        AudioError: another suffix, nothing or NaN to write, or the disk refuses.
    """

    def __init__(
        self,
        path: str | Path,
        sample_rate: int,
        channels: int,
        samples: int,
        subtype: str | None = None,
    ) -> None:
        self.path = path = Path(path)
        default = _DEFAULT_SUBTYPE.get(path.suffix.lower())
        if default is None:
            raise AudioError(
                f"{path}: audio is written as .wav or .flac; use one of these suffixes"
            )
        self.sample_rate, self.channels, self.samples = sample_rate, channels, samples
        self.subtype = subtype or default
        self._part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
        self._sound: soundfile.SoundFile | None = None
        self._written = 0

    def __enter__(self) -> Self:
        container = self.path.suffix[1:].upper()
        if container == "WAV" and self.channels * self.samples * 4 > _WAV_LIMIT_BYTES:
            container = "RF64"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._sound = soundfile.SoundFile(
                self._part, "w", self.sample_rate, self.channels, self.subtype, format=container
            )
        except (OSError, ValueError, soundfile.SoundFileError) as error:
            self._part.unlink(missing_ok=True)
            raise self._refused(error) from error
        return self

    def write(self, values: Tensor) -> None:
        """The next block, (channels, samples), of any length."""
        assert self._sound is not None
        if values.ndim != 2 or values.shape[0] != self.channels:
            raise AudioError(
                f"{self.path}: the audio has shape {tuple(values.shape)} and must have "
                f"(channels, samples) with {self.channels} channels"
            )
        data = values.detach().to("cpu", torch.float32)
        if not torch.isfinite(data).all():
            raise AudioError(
                f"{self.path}: not written, since the audio holds NaN or infinite samples"
            )
        try:
            self._sound.write(data.T.numpy())
        except (OSError, ValueError, soundfile.SoundFileError) as error:
            raise self._refused(error) from error
        self._written += data.shape[-1]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._sound is not None
        try:
            self._sound.close()
            if kind is None:
                assert self._written == self.samples
                _check_written(self._part, self.samples)
                os.replace(self._part, self.path)
        except (OSError, ValueError, soundfile.SoundFileError) as failure:
            raise self._refused(failure) from failure
        finally:
            self._part.unlink(missing_ok=True)

    def _refused(self, error: Exception) -> AudioError:
        return AudioError(
            f"{self.path}: could not be written ({reason(error)}); check the free space, the "
            f"permissions, the number of channels ({self.channels}) and the format {self.subtype}"
        )


def reason(error: Exception) -> str:
    """What libsndfile or the system says, without the frills."""
    text = error.error_string if isinstance(error, soundfile.LibsndfileError) else str(error)
    return text.strip().removeprefix("Error : ").rstrip(".") or type(error).__name__


def _check_written(path: Path, samples: int) -> None:
    """libsndfile says nothing where the disk is full when it closes a flac file."""
    with soundfile.SoundFile(path) as sound:
        complete = sound.frames == samples
        if complete:
            sound.seek(samples - 1)
            complete = len(sound.read(1)) == 1
    if not complete:
        raise OSError("the end of the file was not written")
